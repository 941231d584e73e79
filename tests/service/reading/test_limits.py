"""How much work a page may make, and what is refused."""

import time
from contextlib import suppress

import cv2
import numpy as np
import pytest

from service.picture.errors import InvalidImage, OutOfTime, TooMuchWork
from service.picture.ink import MULTIPLE
from service.reading import looks
from service.reading.line import WIDEST
from service.reading.pieces import pieces_of
from service.reading.reader import page_ink
from tests.service.reading.typed import page, read_page, text


def test_nothing_is_sent_to_the_models_after_the_deadline(matcher, finder):
    matcher.batches.clear()
    with pytest.raises(OutOfTime):
        read_page(page("1969"), matcher, finder, deadline=time.perf_counter())
    assert not matcher.batches
    assert text(read_page(page("1969"), matcher, finder, deadline=time.perf_counter() + 3_600)) == ["1969"]


@pytest.mark.parametrize("seed, density", [(0, 0.39), (1, 0.5), (2, 0.61), (3, 0.69)])
def test_work_is_bounded_on_a_page_of_noise(matcher, seed, density, finder):
    """130 x 130 pixels of noise kept the models busy for ten seconds."""
    noise = np.uint8(255 * (np.random.default_rng(seed).random((130, 130)) < density))
    for side in (64, 78, 130):
        matcher.batches.clear()
        matcher.lines.clear()
        with suppress(InvalidImage):
            read_page(noise[:side, :side], matcher, finder)
        assert sum(matcher.batches) <= looks.MOST
        assert sum(shape[3] for shape in matcher.lines) <= looks.MOST_COLUMNS


@pytest.mark.parametrize("size", [(1024, 1024), (60, 6_000), (2_000_000, 1), (1, 60_000_000)])
def test_a_strip_is_looked_at_with_no_more_pixels_than_a_page(size):
    """Bug: a PNG of 1 x 2,000,000 pixels, a few kB, took 1.3 GB: the network's rows are many times as high as it."""
    areas = []

    class Finder:
        def find(self, picture, longest):
            scale = longest / max(picture.shape)
            shape = [max(1, round(side * scale)) for side in picture.shape]
            areas.append(np.prod([-(-side // MULTIPLE) * MULTIPLE for side in shape]))
            return np.zeros(shape, np.uint8), scale

    page_ink(np.broadcast_to(np.uint8(255), size), Finder())
    assert len(areas) == 2 and max(areas) <= 1024 * 1024


def test_more_than_is_allowed_is_refused_before_it_is_looked_at(matcher, monkeypatch, finder):
    monkeypatch.setattr(looks, "MOST", 4)
    assert text(read_page(page("1969"), matcher, finder)) == ["1969"]
    matcher.batches.clear()
    with pytest.raises(TooMuchWork, match="more than 4 digits; send a part of it at a time"):
        read_page(page("19690"), matcher, finder)
    monkeypatch.setattr(looks, "MOST_COLUMNS", 100)
    matcher.lines.clear()
    with pytest.raises(TooMuchWork, match="more writing than is read at once; send a part of it at a time"):
        read_page(page("1969"), matcher, finder)
    assert not matcher.batches and not matcher.lines


def test_a_line_that_is_very_long_is_shown_smaller(matcher, finder):
    """Bug: a dash of 1,000 pixels was enlarged to 9,000."""
    picture = np.full((60, 1000), 255, np.uint8)
    picture[30:33, 5:995] = 0
    matcher.lines.clear()
    with suppress(InvalidImage):
        read_page(picture, matcher, finder)
    assert all(shape[3] <= WIDEST + 4 for shape in matcher.lines)


def test_marks_within_marks_are_refused_before_they_are_looked_at():
    """Each took time by the area around it: 200 rings on a page as much as 60 pages."""
    rings = np.zeros((1024, 1024), np.uint8)
    for radius in range(3, 510, 5):
        cv2.circle(rings, (512, 512), radius, 255, 1)
    with pytest.raises(TooMuchWork, match="marks within marks"):
        pieces_of(rings)


def test_batches_leave_others_their_turn(matcher, finder):
    matcher.batches.clear()
    matcher.lines.clear()
    read_page(page(*["0123456789"] * 9, scale=0.9, gap=5), matcher, finder)
    assert max(matcher.batches) == max(shape[0] for shape in matcher.lines) == looks.BATCH < 9


def test_more_than_can_be_read_is_refused_but_many_specks_are_not(matcher, finder):
    crowd = page(*["01234567890123456789"] * 15, scale=0.7, gap=5)
    with pytest.raises(InvalidImage, match="more than 200 marks"):
        read_page(crowd, matcher, finder)
    picture = np.pad(page("1969", scale=10.0), ((0, 100), (0, 0)), constant_values=255)
    for x in range(5, picture.shape[1], 10):
        picture[-80::15, x : x + 2] = picture[-79::15, x : x + 2] = 0
    assert text(read_page(picture, matcher, finder)) == ["1969"]


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (300, 200), (1, 500)])
def test_a_blank_page_is_refused(matcher, shape, finder):
    with pytest.raises(InvalidImage, match="no ink stands out"):
        read_page(np.full(shape, 200, np.uint8), matcher, finder)


@pytest.mark.parametrize("shape", [(2, 500), (500, 2), (3, 3), (1, 2), (1300, 7)])
def test_slivers_and_crumbs_are_read_or_refused(matcher, shape, finder):
    picture = np.full(shape, 255, np.uint8)
    picture[shape[0] // 2, shape[1] // 3 :] = 0
    try:
        marks = read_page(picture, matcher, finder).marks
    except InvalidImage:
        return
    assert all(0 <= value <= max(shape) for mark in marks for value in mark.box)
