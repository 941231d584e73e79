"""A picture with any number of digits to what is written on it, line by line.

The ink falls into pieces wherever it is not connected. What is not surely one digit is cut further, where there is
little ink and between the digits that Faster R-CNN sees. A few neighbouring pieces may be one digit: all models look at
each such candidate, and the line is the row of candidates they are surest of (LeCun et al.,
https://doi.org/10.1109/5.726791, section VII).
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from service.picture.digit import SMALL, WORK
from service.picture.errors import BlankImage
from service.picture.framing import even, frame
from service.picture.ink import clearest, find_flat_ink, find_inks, strokes
from service.picture.sheet import clear_table
from service.reading.looks import Looks
from service.reading.pieces import NEAR, TALL, common_height, cut, gap, hull, lines_of, pieces_of

PAGE = 1024  # pixels of the longer side that a page is read at
ENLARGE = 4  # times, at most
STROKE = 0.3, 0.12  # of the page's longer side: nothing wider is a stroke; the second where shadows pass for one
RULES = 2  # lines across a page that are no strokes, for numbers are made of several digits
FLAT = 0.5  # times as steep as most edges on the page, for their darkness: a shadow's
SINGLE = 0.97  # confidence at which connected ink is one digit, without a thought of cutting it
TOGETHER = 5  # pieces of one digit, at most
BROAD, LONG = 1.4, 2.0  # of the commonest height: a digit of several pieces is no wider, no taller
WHOLE, BESIDE = 0.7, 0.3  # of the commonest height; of the narrower one's width
COMPANY = 0.5  # confidence: beside a digit, what is as likely right as wrong is one too
APART = 0.7  # of the commonest height: what stands further apart is another word
MOSTLY = 0.5  # of a word's marks are digits, at least, or none is: then it is a word of letters, or a drawing
COVERED = 0.3  # of the most that a pixel of a smaller mask is covered
DIRT = 0.6  # confidence at which it is as likely that a small piece is dirt


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One digit, or what is none."""

    digit: int
    confidence: float
    accepted: bool
    box: list[float]  # x_min, y_min, x_max, y_max in pixels of the picture
    line: int
    image: np.ndarray  # (28, 28) uint8, what the models saw


def read(picture, predictor, names, deadline=None):
    """Read every digit in a picture (H, W) uint8 with the models `names`, in reading order.

    deadline: time by time.perf_counter() after which nothing is sent to the models any more, None for no limit.
    Returns a list of Reading. Raises BlankImage if there is no ink, TooMuchWork if there is more of it than the limits
    in `pieces` and `looks` allow, OutOfTime once the deadline has passed.
    """
    ink, likely, scale = _page(picture)
    pieces = pieces_of(likely)
    if not pieces:
        raise BlankImage
    height = common_height(pieces)
    looks = Looks(predictor, names, deadline)
    looks.plan(images=len(pieces))
    whole = looks.verdicts([_framed(ink, [piece], scale) for piece in pieces])
    doubtful = [p for p, verdict in zip(pieces, whole, strict=True) if verdict.confidence < SINGLE]
    lines = cut(lines_of(pieces, height), doubtful, ink, height, looks)
    candidates = [sorted(set(_candidates(line, height))) for line in lines]
    spans = [line[start:stop] for line, spans in zip(lines, candidates, strict=True) for start, stop in spans]
    looks.plan(images=sum(len(span) > 1 or not (span[0].first and span[0].last) for span in spans))
    images = [_framed(ink, span, scale) for span in spans]
    looked = iter(zip(looks.verdicts(images), images, strict=True))
    words = []
    for number, (line, spans) in enumerate(zip(lines, candidates, strict=True)):
        seen = {span: next(looked) for span in spans}
        # What is connected is digits throughout, or none: parts of a letter may well look like one.
        says = {
            (start, stop): verdict
            for (start, stop), (verdict, _) in seen.items()
            if not _is_torn(line, start, stop) or verdict.accepted and _is_tall(hull(line[start:stop]), height)
        }
        marks = []
        for start, stop in _best_row(line, says, height):
            (verdict, image), box = seen[start, stop], hull(line[start:stop])
            mark = Reading(
                digit=verdict.digit,
                confidence=verdict.confidence,
                accepted=verdict.accepted and _is_tall(box, height),
                box=box,
                line=number,
                image=image,
            )
            marks.append(mark)
        words += _words(marks, height)
    limits = 2 * picture.shape[::-1]
    return [
        replace(mark, box=[min(float(side) / scale, limit) for side, limit in zip(mark.box, limits, strict=True)])
        for mark in _in_company(words, height)
    ]


def _is_tall(box, height):
    return bool(box[3] - box[1] >= TALL * height)


def _words(marks, height):
    """The marks of a line, those that stand together in a list each."""
    words, end = [], -np.inf
    for mark in marks:
        if mark.box[0] - end > APART * height:
            words.append([])
        words[-1].append(mark)
        end = max(end, mark.box[2])
    return words


def _in_company(words, height):
    """The marks of all words, known by the company they keep."""
    some = any(mark.accepted for word in words for mark in word)
    for word in words:
        tall = [_is_tall(mark.box, height) for mark in word]
        digits = [
            mark.accepted or (some and high and mark.confidence >= COMPANY)
            for mark, high in zip(word, tall, strict=True)
        ]
        is_number = sum(digits) >= MOSTLY * sum(tall)
        yield from (replace(mark, accepted=is_number and digit) for mark, digit in zip(word, digits, strict=True))


def _page(picture):
    """Ink (H, W) float32, where it likely is (H, W) bool, both at working size, and that size per pixel."""
    scale = min(PAGE / max(picture.shape), ENLARGE)
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    if max(picture.shape) <= SMALL:
        ink = cv2.resize(find_flat_ink(picture), size, interpolation=cv2.INTER_CUBIC).clip(0)
        return ink, strokes(ink)[0], scale
    cleared = clear_table(picture)
    for seen in [cleared] + [picture] * (cleared is not picture):  # nothing may be written on the sheet, but beside it
        work = cv2.resize(seen, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        try:
            inks = find_inks(work.astype(np.float32), STROKE, many=RULES)
            ink, likely = clearest(((one, one.likely) for one in inks), pen=STROKE[-1] / 2)
            return ink.levels, _without_shadows(ink.levels, likely), scale
        except BlankImage as error:
            blank = error
    raise blank


def _without_shadows(ink, likely):
    """Where ink (H, W) likely is but for shadows: faint or at the rim, they have flat edges for their darkness."""
    count, parts = cv2.connectedComponents(np.uint8(likely), connectivity=8)
    pixels = np.flatnonzero(likely)
    part = parts.ravel()[pixels]
    suspect = np.bincount(part, strokes(ink)[0].ravel()[pixels], count) == 0
    suspect[np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])] = True
    suspect[0] = False
    if not suspect.any():
        return likely
    slope = cv2.magnitude(cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1))
    slope = cv2.dilate(slope, np.ones((5, 5), np.uint8)).ravel()[pixels]  # a faint part ends anywhere on its edge
    edge = cv2.erode(np.uint8(likely), np.ones((3, 3), np.uint8)).ravel()[pixels] == 0
    steep = np.bincount(part[edge], slope[edge], count) / np.bincount(part[edge], minlength=count).clip(1)
    steep /= (np.bincount(part, ink.ravel()[pixels], count) / np.bincount(part, minlength=count).clip(1)).clip(1)
    of_ink = part[edge & ~suspect[part]]  # by length of edge: a few digits say more than many specks
    if not of_ink.size:
        return likely
    flat = suspect & (steep < FLAT * np.median(steep[of_ink]))
    return likely & ~flat[parts]


def _candidates(line, height):
    """Which neighbours may be one digit: (start, stop) into a line. What is connected always may, however large."""
    first = 0
    for start, piece in enumerate(line):
        for stop in range(start + 1, min(start + TOGETHER, len(line)) + 1):
            chosen = line[start:stop]
            width, tall = np.subtract(*np.split(hull(chosen), 2)[::-1])
            small = width <= BROAD * max(height, tall) and tall <= LONG * height
            if small and all(_belongs(chosen[i], chosen[:i], height) for i in range(1, len(chosen))):
                yield start, stop
        first = start if piece.first else first
        if piece.last:
            yield first, start + 1


def _is_torn(line, start, stop):
    """Whether a candidate is connected to what is beside it."""
    return not (line[start].first and line[stop - 1].last)


def _belongs(piece, others, height):
    """Whether a piece may be part of the digit that others are of."""
    if any(piece.part == other.part for other in others):
        return True
    for other in others:  # two whole strokes beside each other are two digits
        shared = min(piece.box[2], other.box[2]) - max(piece.box[0], other.box[0])
        if min(piece.height, other.height) >= WHOLE * height and shared < BESIDE * min(piece.width, other.width):
            return False
    return min(gap(piece, other) for other in others) <= NEAR * height


def _framed(ink, pieces, scale):
    """The pieces as one digit, (28, 28) uint8."""
    left, top, right, bottom = hull(pieces)
    mask = np.zeros((bottom - top, right - left), bool)
    for piece in pieces:
        x, y = piece.box[:2] - (left, top)
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    pad = max(2, round(scale))
    mask = np.pad(mask, pad)
    crop = np.zeros(mask.shape, np.float32)
    crop[pad:-pad, pad:-pad] = ink[top:bottom, left:right]
    fit = min(WORK[1] / max(mask.shape), 1)
    if fit < 1:  # a large digit tells no more than one of the size that `canonicalise` works at, and costs more
        size = [max(1, round(side * fit)) for side in reversed(mask.shape)]
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        covered = cv2.resize(np.float32(mask), size, interpolation=cv2.INTER_AREA)
        mask = covered > COVERED * covered.max()
    if scale > 1:  # strokes a few pixels wide, enlarged: most of them is their soft edge
        edge = max(2, round(fit * pad))
        crop *= cv2.dilate(np.uint8(mask), np.ones((2 * edge + 1, 2 * edge + 1), np.uint8))
        return frame(crop, mask)[0]
    return frame(even(crop, mask), mask)[0]


def _best_row(line, says, height):
    """The candidates that together use up the line and are surest, (start, stop) each; small pieces may be left out."""
    best = [(0.0, None, False)] + [(-np.inf, None, False)] * len(line)  # score, where it came from, whether it counts
    for stop in range(1, len(line) + 1):
        for start in (start for start, end in says if end == stop):
            score = best[start][0] + (stop - start) * np.log(says[start, stop].confidence)
            best[stop] = max(best[stop], (score, start, True), key=lambda entry: entry[0])
        if line[stop - 1].height < TALL * height and not _is_torn(line, stop - 1, stop):
            left_out = (best[stop - 1][0] + np.log(DIRT), stop - 1, False)
            best[stop] = max(best[stop], left_out, key=lambda entry: entry[0])
    spans, stop = [], len(line)
    while stop:
        _, start, counts = best[stop]
        if counts:
            spans.append((start, stop))
        stop = start
    return spans[::-1]
