import cv2
import numpy as np
import pytest

from service.reading.line import (
    BLANK,
    CHARACTERS,
    CLASSES,
    CONTRAST,
    HEIGHT,
    INK,
    PAPER,
    STEP,
    batched,
    characters,
    cut_out,
    levelled,
)


def log_probabilities(said):
    """One step for each character of `said`, "_" for a blank."""
    found = np.full((len(said), CLASSES), 0.01 / (CLASSES - 1))
    for row, sign in zip(found, said, strict=True):
        row[BLANK if sign == "_" else CHARACTERS.index(sign) + 1] = 0.99
    return np.log(found)


@pytest.mark.parametrize(("said", "read"), [("__", ""), ("1_1", "11"), ("11", "1"), ("_2//5?_", "2/5?"), ("12", "12")])
def test_runs_of_a_class_are_one_character_and_blanks_none(said, read):
    found = characters(log_probabilities(said))
    assert "".join(one.sign for one in found) == read
    assert all(said[one.step] == one.sign and one.probability == pytest.approx(0.99) for one in found)
    assert all(one.digits.shape == (10,) for one in found)


def test_levels_do_not_depend_on_the_light_and_a_light_pen_becomes_dark():
    paper = np.full((HEIGHT, 100), 200, np.uint8)
    paper[10:30, 20:26] = 80
    one, dimmer, chalk = levelled(paper), levelled(paper // 2), levelled(255 - paper, light=True)
    assert abs(np.median(one) - PAPER) < 1 and one[20, 22] < PAPER - 2 * CONTRAST
    assert np.abs(one.astype(int) - dimmer).max() <= 1 and np.abs(one.astype(int) - chalk).max() <= 1


def test_empty_paper_is_not_blown_up():
    grain = np.random.default_rng(0).integers(199, 202, (HEIGHT, 100)).astype(np.uint8)
    assert np.ptp(levelled(grain).astype(int)) < CONTRAST


def test_lines_of_several_widths_are_filled_up_with_paper():
    batch = batched([np.zeros((HEIGHT, 10), np.uint8), np.zeros((HEIGHT, 23), np.uint8)])
    assert batch.shape == (2, 1, HEIGHT, 24)
    assert (batch[0, 0, :, 10:] == PAPER).all() and (batch[0, 0, :, :10] == 0).all()


def written(slope, scale, light=False):
    """Five bars 60 pixels high that rise, the ink at `scale`, and the bars' boxes in it."""
    picture = np.full((400, 600), 220, np.uint8)
    boxes = []
    for number in range(5):
        x, y = 100 + 90 * number, 200 + round(slope * 90 * (number - 2))
        cv2.rectangle(picture, (x, y - 30), (x + 9, y + 29), 40, -1)
        boxes.append(np.array([x, y - 30, x + 10, y + 30]) * scale)
    size = round(600 * scale), round(400 * scale)
    ink = cv2.resize(np.uint8(255) * (picture < 100), size, interpolation=cv2.INTER_AREA)
    return 255 - picture if light else picture, ink, np.array(boxes)


@pytest.mark.parametrize("slope", [-0.15, 0.0, 0.2])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("light", [False, True])
def test_a_line_is_cut_out_upright_and_dark_at_one_height(slope, scale, light):
    picture, ink, boxes = written(slope, scale, light)
    strip = cut_out(picture, ink, scale, boxes, height=60 * scale)
    dark = strip.grey < PAPER - CONTRAST
    rows = np.flatnonzero(dark.any(1))
    assert strip.grey.shape[0] == HEIGHT
    assert rows[-1] - rows[0] + 1 == pytest.approx(INK, abs=2 if slope == 0 else 4)
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(HEIGHT / 2, abs=1.5)
    columns = dark.any(0).astype(int)
    starts = np.flatnonzero(np.diff(columns) == 1) + 1
    assert len(starts) == 5
    middles = [strip.column(start / STEP - 0.5 + 0.5 * 10 * INK / 60 / STEP) for start in starts]
    assert middles == pytest.approx((boxes[:, 0] + boxes[:, 2]) / 2, abs=2 * scale + 1)


def test_a_speck_does_not_fill_a_line():
    picture, ink, boxes = written(0.0, 1.0)
    strip = cut_out(picture, ink, 1.0, boxes[:1] * [[1, 0, 1, 0]] + [[0, 190, 0, 200]], height=60)
    assert strip.fit == pytest.approx(INK / 48)


def test_beyond_the_edge_of_a_picture_is_paper():
    picture = np.full((60, 60), 200, np.uint8)
    picture[:, 54:] = 50
    strip = cut_out(picture, np.uint8(255) * (picture < 100), 1.0, np.array([[54, 0, 60, 60]]), height=60)
    assert strip.grey.shape[0] == HEIGHT and (strip.grey[:, -5:] > PAPER - CONTRAST / 2).all()
    assert (strip.grey < PAPER - CONTRAST).any()


@pytest.mark.parametrize("light", [False, True])
def test_a_hair_line_is_drawn_as_broad_as_a_pen(light):
    picture = np.full((600, 300), 220, np.uint8)
    picture[100:500, 150:152] = 40
    picture = 255 - picture if light else picture
    ink = np.uint8(255) * ((picture < 100) != light)
    box = np.array([[150, 100, 152, 500]])
    faded, drawn = (cut_out(picture, ink, 1.0, box, 400, pen).grey.min() for pen in (np.inf, 2.0))
    columns = (cut_out(picture, ink, 1.0, box, 400, 2.0).grey < PAPER - CONTRAST).any(0).sum()
    assert drawn <= faded and columns >= 2


def test_dots_of_ink_beside_a_line_do_not_make_it_higher():
    picture, ink, boxes = written(0.0, 1.0)
    point = np.array([[50, 290, 56, 296]])
    assert cut_out(picture, ink, 1.0, np.concatenate([boxes, point]), height=60).fit == pytest.approx(INK / 60)
