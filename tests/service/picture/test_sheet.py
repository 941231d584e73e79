import cv2
import numpy as np
import pytest

from service.picture.digit import canonicalise
from service.picture.sheet import clear_table
from tests.conftest import draw
from training.data import mnist


def on_table(angle, sheet=190, table=60, aside=0):
    """A slightly darkening sheet with a 7 on it, turned by `angle` degrees, `aside` of it beyond the picture's edge."""
    light = np.linspace(1.1, 0.8, 300, dtype=np.float32)
    paper = sheet * light * (draw("7", (240, 300), 3.0, 9) / 255 * 0.8 + 0.2)
    turn = cv2.getRotationMatrix2D((150, 120), angle, 1)
    turn[:, 2] += 100 - aside, 80
    place = {"M": turn, "dsize": (500, 400)}
    there = cv2.warpAffine(np.ones_like(paper), **place)
    grain = np.random.default_rng(0).normal(0, 3, there.shape)
    return np.uint8((cv2.warpAffine(paper, **place) + table * (1 - there) + grain).clip(0, 255)), there > 0.99


@pytest.mark.parametrize("angle, aside", [(0, 0), (15, 0), (-8, 0), (6, 170)])
def test_around_a_sheet_is_its_paper_and_what_is_on_it_stays(angle, aside):
    picture, there = on_table(angle, aside=aside)
    cleared = clear_table(picture)
    inside = cv2.erode(np.uint8(there), np.ones((31, 31)), borderValue=1) > 0
    assert (cleared[inside] == picture[inside]).all()
    assert np.percentile(cleared[~there], 2) > 130


def test_a_sheet_is_one_however_it_lies():
    missed = [angle for angle in range(-90, 90, 3) if (picture := on_table(angle)[0]) is clear_table(picture)]
    assert not missed


def test_a_digit_is_found_on_a_sheet_on_a_table():
    expected = canonicalise(draw("7", (240, 300), 3.0, 9)).image.astype(float)
    found = canonicalise(on_table(0)[0]).image.astype(float)
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("thickness", [5, 20, 45])
@pytest.mark.parametrize("digit", range(10))
def test_chalk_is_no_sheet(digit, thickness):
    picture = 255 - draw(str(digit), (260, 220), 7.0, thickness)
    ink = np.argwhere(picture > 128)
    (top, left), (bottom, right) = ink.min(0), ink.max(0) + 1
    for chalk in (picture, picture[top:bottom, left:right], np.pad(picture[top:bottom, left:right], 12)):
        assert clear_table(chalk) is chalk


def test_paper_half_in_the_shadow_is_no_sheet():
    picture = draw("7", (300, 300)).astype(np.float32)
    shadow = np.float32(np.add.outer(np.arange(300), 2 * np.arange(300)) > 500)
    picture *= 1 - 0.45 * cv2.GaussianBlur(shadow, (0, 0), 4)
    picture = np.uint8(picture)
    assert clear_table(picture) is picture


@pytest.mark.parametrize("shape", [(41, 1), (1, 500), (300, 3), (64, 64)])
def test_slivers_are_left_alone(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert clear_table(picture) is picture


def test_a_lit_patch_at_the_rim_is_no_sheet_but_what_lies_on_a_dark_table_is():
    """Of a shadow some light is left."""
    page = np.full((300, 300), 200, np.float32)
    light = np.zeros((300, 300), np.float32)
    light[40:190, 200:] = 1  # through a window, up to the rim
    for shade, is_table in ((0.6, False), (0.3, True)):
        picture = np.uint8(page * (shade + (1 - shade) * light))
        assert (clear_table(picture) is not picture) == is_table


def test_a_block_of_colour_is_no_sheet():
    bar = np.zeros((300, 200), np.uint8)
    bar[30:270, 70:130] = 220  # a 1 of broad chalk
    assert clear_table(bar) is bar
    grid = np.zeros((300, 300), np.uint8)
    grid[40:260, 40:260] = 220
    for y in range(50, 250, 40):
        grid[y : y + 28, 50:250] = 0  # more dark than light: no paper
    assert clear_table(grid) is grid


def test_what_stands_beside_an_empty_sheet_is_seen():
    board = np.full((600, 900), 45, np.uint8)
    board[150:450, 520:840] = 205
    cv2.line(board, (220, 430), (280, 170), 225, 34, cv2.LINE_AA)
    board += np.random.default_rng(0).integers(0, 5, board.shape, dtype=np.uint8)
    assert clear_table(board) is not board
    ink = canonicalise(board).image > 128
    assert ink.any(1).sum() >= 18 and ink.any(0).sum() <= 10


def test_no_digit_in_broad_chalk_is_a_sheet(mnist_root):
    broad = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
    for image in mnist.load("validation", mnist_root)[0][:1000, 0].numpy():
        chalk = cv2.dilate(cv2.resize(image, (200, 200), interpolation=cv2.INTER_CUBIC), broad)
        rows, columns = np.flatnonzero(chalk.max(1) > 100), np.flatnonzero(chalk.max(0) > 100)
        for picture in (chalk, chalk[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]):
            assert clear_table(picture) is picture
