"""The released network that finds ink, on what it was not trained on: typed digits, which beyond doubt are there."""

import cv2
import numpy as np
import pytest

from service.picture.framing import breadth
from service.picture.ink import SURELY
from tests.conftest import draw

LOOK = 256


@pytest.fixture(scope="module")
def seven():
    return draw("7", (256, 256), 6.0, 12)


def found(picture, finder):
    ink, scale = finder.find(picture, LOOK)
    assert scale == 1 and ink.shape == picture.shape and ink.dtype == np.uint8
    return ink > SURELY


@pytest.mark.parametrize("hardship", [np.asarray, np.invert])
def test_ink_is_what_was_drawn(seven, finder, hardship):
    ink, drawn = found(hardship(seven), finder), seven < 128
    assert (ink & drawn).sum() > 0.6 * (ink | drawn).sum()


@pytest.mark.parametrize("picture", ["white", "grey", "rules", "slope"])
def test_paper_without_writing_holds_no_ink(finder, picture):
    page = np.full((256, 256), 255 if picture == "white" else 190, np.uint8)
    if picture == "slope":
        page = np.uint8(page * np.linspace(0.5, 1, 256))
    for y in range(5, 256, 24) if picture == "rules" else ():
        cv2.line(page, (0, y), (255, y + 8), 120, 1, cv2.LINE_AA)
    assert found(page, finder).mean() < 0.001


@pytest.mark.parametrize("shape, longest, expected", [((100, 300), 256, (85, 256)), ((20, 10), 256, (160, 80))])
def test_a_picture_is_seen_as_large_as_asked_or_a_few_times_as_large_as_it_is(finder, shape, longest, expected):
    ink, scale = finder.find(np.full(shape, 255, np.uint8), longest)
    assert ink.shape == expected and scale == pytest.approx(expected[0] / shape[0], rel=0.02)


@pytest.mark.parametrize("pixels", [5, 9, 15])
def test_breadth_is_that_of_the_pen(pixels):
    mask = np.zeros((100, 100), bool)
    mask[40 : 40 + pixels, 10:90] = True
    assert breadth(mask) == pytest.approx(pixels, abs=1)
