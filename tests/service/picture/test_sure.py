"""What only looks like writing is found, but not accepted: the network is not sure that anything was written there."""

import cv2
import numpy as np
import pytest

from service.picture.digit import canonicalise
from service.picture.ink import CERTAIN, SMALL, is_sure
from service.reading.reader import read
from tests.conftest import draw
from tests.service.reading.typed import Matcher, page, read_page, text

FAINT = 0.7  # of what the network would say of writing


class Faint:
    """Finds the same ink as another finder, but is less sure of that right of a column."""

    def __init__(self, finder, start=0.0):
        self.finder, self.start = finder, start

    def find(self, picture, longest):
        ink, scale = self.finder.find(picture, longest)
        ink = ink.copy()
        right = ink[:, round(self.start * ink.shape[1]) :]
        right[:] = right * FAINT
        return ink, scale


@pytest.mark.parametrize("certain, sure", [(0, False), (20, False), (30, True), (100, True)])
def test_a_quarter_of_the_ink_is_certain(certain, sure):
    assert is_sure(np.array([CERTAIN] * certain + [CERTAIN - 1] * (100 - certain))) == sure


def test_a_digit_is_surely_written_and_faint_lines_are_not(finder):
    seven = draw("7")
    assert canonicalise(seven, finder).is_sure
    assert not canonicalise(seven, Faint(finder)).is_sure


def test_of_a_picture_that_the_network_is_not_shown_nothing_is_doubted(finder):
    small = np.full((SMALL, SMALL), 200, np.uint8)
    small[8:30, 20] = 60
    small[8:30, 21] = 150
    assert canonicalise(small, Faint(finder)).is_sure


def test_of_a_tiny_digit_that_is_looked_at_again_without_the_network_nothing_is_doubted(finder):
    """Bug: grey levels of the second look were taken for how sure the network is."""
    page = np.full((280, 280), 255, np.uint8)
    cv2.putText(page, "7", (120, 150), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 0, 1, cv2.LINE_AA)
    assert canonicalise(cv2.GaussianBlur(page, (0, 0), 0.7), finder).is_sure


def test_what_is_faint_does_not_keep_a_page_from_being_turned(finder):
    class Blots(Faint):
        """Finds faint blots below the writing."""

        def find(self, picture, longest):
            ink, scale = self.finder.find(picture, longest)
            ink = np.pad(ink, ((0, 0), (0, ink.shape[1])))
            for y in range(10, ink.shape[0] - 40, 50):
                ink[y : y + 30, -40:-30] = 180
            return ink, scale

    matcher, lying = Matcher(finder), np.ascontiguousarray(np.rot90(page("35724", "74253")))
    assert read(lying, matcher, Blots(finder), []).turned == 270


def test_on_a_page_only_what_is_surely_written_is_accepted(finder):
    matcher, picture = Matcher(finder), page("123")
    assert text(read_page(picture, matcher, finder)) == ["123"]
    assert text(read_page(picture, matcher, Faint(finder, 0.55))) == ["12"]
    assert text(read_page(picture, matcher, Faint(finder))) == []
