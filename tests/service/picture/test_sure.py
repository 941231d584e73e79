"""What only looks like writing is found, but not accepted: the network is not sure that anything was written there."""

import numpy as np
import pytest

from service.picture.digit import canonicalise
from service.picture.ink import CERTAIN, SMALL, is_sure
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


def test_on_a_page_only_what_is_surely_written_is_accepted(finder):
    matcher, picture = Matcher(finder), page("123")
    assert text(read_page(picture, matcher, finder)) == ["123"]
    assert text(read_page(picture, matcher, Faint(finder, 0.55))) == ["12"]
    assert text(read_page(picture, matcher, Faint(finder))) == []
