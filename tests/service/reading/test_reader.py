"""Typed numbers, read by a predictor that compares with typed digits."""

import time
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
import pytest

from service.inference.consensus import Verdict
from service.picture.digit import canonicalise
from service.picture.errors import InvalidImage, OutOfTime, TooMuchWork
from service.reading import looks, reader
from service.reading.pieces import Piece, pieces_of
from service.reading.reader import read
from tests.conftest import draw


class Matcher:
    """As much of a Predictor as reading needs: the digit is that of the most similar typed one."""

    def __init__(self, finder):
        self.typed = np.stack([self._unit(canonicalise(draw(str(digit)), finder).image) for digit in range(10)])
        self.verdicts, self.batches = [], []

    @staticmethod
    def _unit(image):
        soft = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5).ravel()
        return soft / np.linalg.norm(soft)

    def classify(self, images, names):
        self.batches.append(len(images))
        likeness = np.stack([self._unit(image[0]) for image in images]) @ self.typed.T
        sure = likeness.max(1) ** 8
        self.verdicts = [
            Verdict(digit=int(digit), confidence=float(confidence), accepted=bool(confidence > 0.4), agreement=1)
            for digit, confidence in zip(likeness.argmax(1), sure, strict=True)
        ]
        return self

    def detect(self, pages):
        """A digit at the left end of each page."""
        boxes = np.tile(np.float32([14, 14, 30, 42]), (len(pages), 1, 1))
        return boxes, np.ones((len(pages), 1, 10), np.float32)


@pytest.fixture(scope="module")
def matcher(finder):
    return Matcher(finder)


def page(*lines, scale=2.0, gap=20):
    """Lines of typed digits from above, black on white."""
    rows = [draw(line, (int(40 * scale), int(24 * scale * max(map(len, lines)) + 40)), scale, 5) for line in lines]
    return np.concatenate([np.pad(row, ((gap, gap), (0, 0)), constant_values=255) for row in rows])


def read_page(picture, models, finder, deadline=None):
    return read(picture, models, finder, [], deadline).readings


def text(readings):
    lines = {}
    for reading in readings:
        if reading.accepted:
            lines.setdefault(reading.line, []).append(str(reading.digit))
    return ["".join(lines[line]) for line in sorted(lines)]


@pytest.mark.parametrize("number", ["7", "42", "1969", "0123456789"])
def test_a_number_is_read_from_left_to_right(matcher, number, finder):
    assert text(read_page(page(number), matcher, finder)) == [number]


def test_lines_are_kept(matcher, finder):
    assert text(read_page(page("1969", "42", "580"), matcher, finder)) == ["1969", "42", "580"]


@pytest.mark.parametrize("scale", [0.5, 1, 4])
def test_size_does_not_matter(matcher, scale, finder):
    picture = cv2.resize(page("1969", "42"), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert text(read_page(picture, matcher, finder)) == ["1969", "42"]


def test_white_on_black_is_the_same(matcher, finder):
    assert text(read_page(255 - page("1969"), matcher, finder)) == ["1969"]


def test_a_slanted_line_is_one_line(matcher, finder):
    picture = page("58203", gap=80)
    height, width = picture.shape
    slant = np.float32([[1, 0, 0], [0.2, 1, -0.1 * width]])
    picture = cv2.warpAffine(picture, slant, (width, height), borderValue=255)
    assert text(read_page(picture, matcher, finder)) == ["58203"]


def test_boxes_are_in_pixels_of_the_picture(matcher, finder):
    picture = np.full((600, 2400), 255, np.uint8)
    picture[200:400, 300:500] = draw("4")
    picture[200:400, 1500:1700] = draw("2")
    first, second = read_page(picture, matcher, finder)
    for reading, left in ((first, 300), (second, 1500)):
        ys, xs = np.nonzero(picture[:, left : left + 200] < 128)
        expected = [left + xs.min(), ys.min(), left + xs.max() + 1, ys.max() + 1]
        assert np.abs(np.array(reading.box) - expected).max() < 8
    assert (first.digit, second.digit) == (4, 2)


def test_digits_that_touch_are_told_apart(matcher, monkeypatch, finder):
    boxes = np.array([[[14, 14, 35, 42], [35, 14, 57, 42]]], np.float32)
    monkeypatch.setattr(matcher, "detect", lambda pages: (boxes, np.ones((1, 2, 10), np.float32)))
    digit = draw("0", (120, 90), 3.0, 8)
    columns = np.flatnonzero((digit < 128).any(0))
    digit = digit[:, columns[0] : columns[-1] + 1]
    bridge = np.full((120, 12), 255, np.uint8)
    bridge[56:64] = 0
    picture = np.pad(np.concatenate([digit, bridge, digit], 1), 40, constant_values=255)
    assert text(read_page(picture, matcher, finder)) == ["00"]


def test_what_is_connected_is_digits_throughout_or_none(matcher, finder):
    digit, letter = (draw(sign, (120, 90), 3.0, 8) for sign in "0X")
    paper = np.full((120, 60), 255, np.uint8)
    picture = np.pad(np.concatenate([digit, paper, letter], 1), 40, constant_values=255)
    assert text(read_page(picture, matcher, finder)) == ["0"]
    picture[94:106, 90:260] = 0
    readings = read_page(picture, matcher, finder)
    assert len(readings) == 1 and not readings[0].accepted


def test_connected_ink_may_be_one_digit_however_wide(matcher, finder):
    wide = cv2.resize(draw("0", (120, 90), 3.0, 8), None, fx=2.0, fy=1)
    assert len(read_page(wide, matcher, finder)) == 1


def test_a_broken_digit_is_one_digit(matcher, finder):
    picture = page("853")
    middle = picture.shape[1] // 2
    picture[55:58, middle - 20 : middle + 20] = 255
    assert text(read_page(picture, matcher, finder)) == ["853"]


def test_specks_and_a_blot_at_the_edge_are_left_out(matcher, finder):
    picture = np.pad(page("1969"), ((0, 200), (0, 0)), constant_values=255)
    for x in range(20, 200, 30):
        cv2.circle(picture, (x, 250), 2, 0, -1)
    picture[-60:, -120:] = 0
    assert text(read_page(picture, matcher, finder)) == ["1969"]


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_shadow_in_a_corner_is_no_ink_but_a_digit_at_the_edge_is(matcher, corner, finder):
    picture = page("3820", scale=6.0, gap=200).astype(np.float32)
    height, width = picture.shape
    y, x = np.mgrid[:height, :width]
    away = np.hypot(y - corner[0] * height, x - corner[1] * width)
    shaded = np.uint8(picture * (1 - 0.6 / (1 + np.exp((away - 120) / 15))))
    end = np.flatnonzero((picture < 128).any(0))[-1]
    for seen in (shaded, shaded[:, : end - 1]):
        assert [reading.digit for reading in read_page(seen, matcher, finder)] == [3, 8, 2, 0]


def test_a_digit_much_fainter_than_its_neighbours_is_no_shadow_whatever_specks_there_are(matcher, finder):
    picture = page("3820", scale=6.0, gap=200).astype(np.float32)
    left, right = (round(share * picture.shape[1]) for share in (0.28, 0.5))
    picture[:, left:right] = 255 - 0.35 * (255 - picture[:, left:right])
    picture = np.uint8(cv2.GaussianBlur(picture, (0, 0), 3))
    generator = np.random.default_rng(0)
    for _ in range(20):
        y, x = generator.integers(20, np.array(picture.shape) - 20)
        if picture[y - 12 : y + 12, x - 12 : x + 12].min() > 250:
            cv2.circle(picture, (int(x), int(y)), 3, 0, -1)
    assert text(read_page(picture, matcher, finder)) == ["3820"]


def test_what_is_no_digit_is_marked(matcher, finder):
    readings = read_page(page("1X9"), matcher, finder)
    assert [reading.accepted for reading in readings] == [True, False, True]
    assert text(readings) == ["19"]


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
        with suppress(InvalidImage):
            read_page(noise[:side, :side], matcher, finder)
        assert sum(matcher.batches) <= looks.MOST


def test_more_candidates_than_are_allowed_are_refused_before_they_are_looked_at(matcher, monkeypatch, finder):
    monkeypatch.setattr(looks, "MOST", 4)
    assert text(read_page(page("1969"), matcher, finder)) == ["1969"]
    matcher.batches.clear()
    with pytest.raises(TooMuchWork, match="more than 4 looks at possible digits; send a part of it at a time"):
        read_page(page("19690"), matcher, finder)
    assert not matcher.batches


def test_marks_within_marks_are_refused_before_they_are_looked_at():
    """Each took time by the area around it: 200 rings on a page as much as 60 pages."""
    rings = np.zeros((1024, 1024), np.uint8)
    for radius in range(3, 510, 5):
        cv2.circle(rings, (512, 512), radius, 255, 1)
    with pytest.raises(TooMuchWork, match="marks within marks"):
        pieces_of(rings)


def test_batches_leave_others_their_turn(matcher, finder):
    matcher.batches.clear()
    read_page(page(*["0123456789"] * 5, scale=0.9, gap=5), matcher, finder)
    assert max(matcher.batches) == looks.BATCH < 10


@pytest.mark.parametrize("pen", [1, 2, 40])
def test_a_line_across_a_large_page_is_framed(matcher, pen, finder):
    picture = np.full((1024, 1024), 255, np.uint8)
    picture[20:1000, 500 : 500 + pen] = 0
    try:
        assert not text(read_page(picture, matcher, finder)) or pen > 2
    except InvalidImage:
        assert pen < 3  # it may be a rule


def test_a_hairline_is_framed(finder):
    mask = np.ones((1000, 1), bool)
    piece = Piece(part=1, box=np.array([0, 0, 1, 1000]), mask=mask)
    assert reader._framed(np.full((1000, 1), 200, np.uint8), [piece]).max() == 255


def test_a_detector_that_sees_a_digit_beside_the_ink_hurts_nothing(matcher, monkeypatch, finder):
    boxes = np.array([[[0, 5, 10, 25], [14, 5, 22, 25]]], np.float32)  # the first in the margin
    monkeypatch.setattr(matcher, "detect", lambda pages: (boxes, np.ones((1, 2, 10))), raising=False)
    rising = np.full((720, 790), 255, np.uint8)
    cv2.line(rising, (100, 600), (100, 100), 0, 12)
    cv2.line(rising, (100, 600), (700, 560), 0, 4)
    assert len(read_page(rising, matcher, finder)) == 1


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
        readings = read_page(picture, matcher, finder)
    except InvalidImage:
        return
    assert all(0 <= value <= max(shape) for reading in readings for value in reading.box)


def test_a_word_of_letters_holds_no_digit_but_the_number_beside_it_does(matcher, finder):
    picture = page("X1XX", "9")
    assert text(read_page(picture, matcher, finder)) == ["9"]
    apart = np.concatenate([page("XX1X"), page("69")], 1)
    assert text(read_page(apart, matcher, finder)) == ["69"]


class Doubtful(Matcher):
    """Is not sure of nines."""

    def classify(self, images, names):
        super().classify(images, names)
        self.verdicts = [replace(v, accepted=False, confidence=0.6) if v.digit == 9 else v for v in self.verdicts]
        return self


def test_what_is_doubted_alone_is_believed_beside_a_digit(finder):
    doubtful = Doubtful(finder)
    assert text(read_page(page("9"), doubtful, finder)) == []
    assert text(read_page(page("99"), doubtful, finder)) == []
    assert text(read_page(page("19"), doubtful, finder)) == ["19"]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_page_that_lies_on_its_side_is_read_and_its_boxes_stay_in_the_upload(matcher, finder, quarters):
    picture = page("35724", "74253")
    upright = read(picture, matcher, finder, [])
    turned = read(np.ascontiguousarray(np.rot90(picture, -quarters)), matcher, finder, [])
    assert (upright.turned, turned.turned) == (0, 90 * quarters)
    assert text(turned.readings) == text(upright.readings) == ["35724", "74253"]
    first = turned.readings[0].box
    there = np.rot90(picture, -quarters)[round(first[1]) : round(first[3]), round(first[0]) : round(first[2])]
    assert (there < 128).mean() > 0.1 and max(first) <= max(picture.shape)
