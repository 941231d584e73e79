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


def overlap(found, drawn):
    return (found & drawn).sum() / (found | drawn).sum()


def shaded(page):
    shadow = np.float32(np.add.outer(np.arange(256), 2 * np.arange(256)) > 400)
    return page * (1 - 0.45 * cv2.GaussianBlur(shadow, (0, 0), 4))


def ruled(page):
    for y in range(5, 256, 24):
        cv2.line(page, (0, y), (255, y + 8), 120, 1, cv2.LINE_AA)
    return page


def grainy(page):
    return page * 0.8 + np.random.default_rng(0).normal(0, 6, page.shape)


def on_table(page):
    turn = cv2.getRotationMatrix2D((128, 128), 0, 0.75)
    there = cv2.warpAffine(np.ones_like(page), turn, (256, 256))
    return cv2.warpAffine(page, turn, (256, 256)) * there + 60 * (1 - there)


@pytest.mark.parametrize("hardship", [np.float32, lambda page: 255 - page, shaded, ruled, grainy])
def test_ink_is_what_was_drawn(seven, finder, hardship):
    picture = np.uint8(hardship(seven.astype(np.float32)).clip(0, 255))
    assert overlap(found(picture, finder), seven < 128) > 0.6


def test_ink_on_a_sheet_on_a_table_is_the_writing_alone(seven, finder):
    page = seven.astype(np.float32)
    drawn = on_table(page) < 100
    drawn[:32] = drawn[-32:] = drawn[:, :32] = drawn[:, -32:] = False
    assert overlap(found(np.uint8(on_table(page)), finder), drawn) > 0.6


@pytest.mark.parametrize("picture", ["white", "grey", "rules", "slope"])
def test_paper_without_writing_holds_no_ink(finder, picture):
    page = np.full((256, 256), 255 if picture == "white" else 190, np.float32)
    page = {"rules": ruled, "slope": lambda page: page * np.linspace(0.5, 1, 256)}.get(picture, np.float32)(page)
    assert found(np.uint8(page), finder).mean() < 0.001


@pytest.mark.parametrize("shape, longest, expected", [((100, 300), 256, (85, 256)), ((20, 10), 256, (160, 80))])
def test_a_picture_is_seen_as_large_as_asked_or_a_few_times_as_large_as_it_is(finder, shape, longest, expected):
    ink, scale = finder.find(np.full(shape, 255, np.uint8), longest)
    assert ink.shape == expected and scale == pytest.approx(expected[0] / shape[0], rel=0.02)


@pytest.mark.parametrize("pixels", [5, 9, 15])
def test_breadth_is_that_of_the_pen(pixels):
    mask = np.zeros((100, 100), bool)
    mask[40 : 40 + pixels, 10:90] = True
    assert breadth(mask) == pytest.approx(pixels, abs=1)
