import cv2
import numpy as np
import pytest

from service.picture.errors import InvalidImage
from service.picture.ink import PAPER, clearest, find_inks, is_dark
from service.picture.measures import breadth
from tests.conftest import draw


def ink_of(picture):
    return clearest(((ink, ink.likely) for ink in find_inks(picture, PAPER)), PAPER[-1] / 2)


@pytest.fixture
def seven():
    return draw("7").astype(np.float32)


def test_ink_is_what_was_drawn_in_either_polarity(seven):
    drawn = seven < 128
    for picture in (seven, 255 - seven):
        ink, likely = ink_of(picture)
        assert (likely & drawn).sum() > 0.95 * drawn.sum()
        assert (likely & ~cv2.dilate(np.uint8(drawn), np.ones((7, 7))).astype(bool)).sum() == 0
        assert ink.slopes is None


def test_rules_are_found_with_their_slope_and_taken_out(seven):
    page = seven.copy()
    for y in range(5, 200, 20):
        cv2.line(page, (0, y), (199, y + 10), 100, 1, cv2.LINE_AA)
    ink, _ = ink_of(page)
    assert ink.slopes[0] == pytest.approx(0.05, abs=0.01) and ink.slopes[1] is None
    assert ink.levels[:, :30].max() < 0.3 * ink.levels.max()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_paper_without_ink_is_refused(level):
    with pytest.raises(InvalidImage, match="no ink stands out"):
        ink_of(np.full((100, 100), level, np.float32))


def test_polarity_is_that_of_the_rim(seven):
    assert is_dark(seven) and not is_dark(255 - seven)


@pytest.mark.parametrize("polarity", [1, -1])
def test_little_ink_tells_the_polarity_whatever_the_light_and_what_lies_in_a_corner(polarity):
    page = np.full((150, 200), 190, np.float32)
    page[60:75, 100:102] = 50  # .1 % of it
    uneven = page + 25 * np.linspace(-1, 1, 200, dtype=np.float32) ** 3
    thing = page.copy()
    thing[110:, 60:] = 40
    shadow = page - 60 * np.float32(np.add.outer(np.arange(150), np.arange(200)) < 220)
    shadow[60:80, 120:130] = 60
    for work in (page, uneven, thing, shadow):
        assert is_dark(polarity * work) == (polarity > 0)


@pytest.mark.parametrize("pixels", [5, 9, 15])
def test_breadth_is_that_of_the_pen(pixels):
    mask = np.zeros((100, 100), bool)
    mask[40 : 40 + pixels, 10:90] = True
    assert breadth(mask) == pytest.approx(pixels, abs=1)
