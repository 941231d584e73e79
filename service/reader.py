"""A picture with any number of digits to what is written on it, line by line.

The ink is cut into pieces: wherever it is not connected, and where Faster R-CNN or a narrow place says that digits
touch. Up to three neighbouring pieces may be one digit: all models look at each such candidate, in one batch, and the
line is the row of candidates they are surest of (LeCun et al., https://doi.org/10.1109/5.726791, section VII).
"""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from service.image import SMALL, even, extent, frame
from service.ink import breadth, find_flat_ink, find_ink, strokes

PAGE = 1024  # pixels of the longer side that a page is read at
ENLARGE = 4  # times, at most
STROKE = 0.12  # of the page's longer side: nothing wider is a stroke
MOST = 256  # pieces of ink that are looked at, the largest
TOUCHES = 32  # pieces that may be several digits, the widest; each is cut
TOGETHER = 3  # pieces of one digit, at most
SIGHT = 28  # pixels of a digit's height on a page that the detector sees
SURE = 0.5  # score of a detection that counts
TALL = 0.4  # of the commonest height: what is smaller is a part of a digit, or dirt
CUT_OFF = 0.7  # of the commonest height: what touches the page's edge and is smaller is not all there
SPECK = 0.1  # of the commonest height
WIDE = 0.9, 1.5  # of its height: what is wider may be several digits, even if the detector sees but one
NEAR = 0.25  # of the commonest height: parts of a digit are no further apart
TORN = 0.4  # confidence at which it is as likely that connected ink is one digit
DIRT = 0.6  # confidence at which it is as likely that a small piece is dirt


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Connected ink, or a part of it that was cut off."""

    part: int  # what it was connected to
    box: np.ndarray  # x_min, y_min, x_max, y_max in pixels of the page
    mask: np.ndarray  # (H, W) bool, of the box

    @property
    def width(self):
        return self.box[2] - self.box[0]

    @property
    def height(self):
        return self.box[3] - self.box[1]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One digit, or what is none."""

    digit: int
    confidence: float
    accepted: bool
    box: list[float]  # x_min, y_min, x_max, y_max in pixels of the picture
    line: int


def read(picture, predictor, names):
    """Read every digit in a picture (H, W) uint8 with the models `names`, in reading order.

    At most MOST pieces of ink are looked at, in at most TOGETHER times as many candidates, whatever is uploaded.
    Returns a list of Reading. Raises InvalidImage if there is no ink.
    """
    ink, likely, scale = _page(picture)
    pieces = _pieces(ink, likely)
    height = _common_height(pieces)
    lines = _lines(pieces, height)
    lines = [_cut(line, ink, height, predictor) for line in lines]
    candidates = [list(_candidates(line, height)) for line in lines]
    images = [
        _framed(ink, line[start:stop])
        for line, spans in zip(lines, candidates, strict=True)
        for start, stop in spans
    ]
    verdicts = iter(predictor.classify(np.stack(images)[:, None], names).verdicts)
    readings = []
    for number, (line, spans) in enumerate(zip(lines, candidates, strict=True)):
        says = {span: next(verdicts) for span in spans}
        for start, stop in _best_row(line, says, height):
            box = _hull(line[start:stop])
            verdict = says[start, stop]
            readings.append(
                Reading(
                    digit=verdict.digit,
                    confidence=verdict.confidence,
                    accepted=verdict.accepted and box[3] - box[1] >= TALL * height,
                    box=[float(value) / scale for value in box],
                    line=number,
                )
            )
    return readings


def _page(picture):
    """Ink (H, W) float32, where it likely is (H, W) bool, both at working size, and that size per pixel."""
    scale = min(PAGE / max(picture.shape), ENLARGE)
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    if max(picture.shape) <= SMALL:
        ink = cv2.resize(find_flat_ink(picture), size, interpolation=cv2.INTER_CUBIC).clip(0)
        return ink, strokes(ink)[0], scale
    work = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    ink, likely, _ = find_ink(work.astype(np.float32), lambda ink, sure, likely: likely, papers=(STROKE,))
    return ink, likely, scale


def _pieces(ink, likely):
    """The connected parts of the ink that a pen can have made, the largest if there are too many."""
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(likely), connectivity=8)
    large = 1 + np.argsort(-boxes[1:, 2:4].max(1), kind="stable")[:MOST]
    pieces = []
    for part in large:
        x, y, width, height = boxes[part, :4]
        mask = parts[y : y + height, x : x + width] == part
        pieces.append(Piece(part=part, box=np.array([x, y, x + width, y + height]), mask=mask))
    common = _common_height(pieces)
    pen = np.median([breadth(piece.mask) for piece in pieces if piece.height >= TALL * common])
    whole = [piece for piece in pieces if breadth(piece.mask) <= 3 * pen and not _is_cut_off(piece, common, ink.shape)]
    return [piece for piece in whole if max(piece.width, piece.height) >= max(2, SPECK * common)]


def _is_cut_off(piece, common, shape):
    """Whether a piece reaches beyond the page."""
    at_edge = piece.box[:2].min() == 0 or piece.box[2] == shape[1] or piece.box[3] == shape[0]
    return at_edge and piece.height < CUT_OFF * common


def _common_height(pieces):
    """The height that half of all height is in pieces no taller than; specks count little, one shadow too."""
    heights = np.sort([piece.height for piece in pieces])
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])


def _lines(pieces, height):
    """The pieces line by line from above, each from left to right."""
    tall = sorted((piece for piece in pieces if piece.height >= TALL * height), key=_middle)
    lines = []
    for piece in tall:
        shared = [min(piece.box[3], line[-1].box[3]) - max(piece.box[1], line[-1].box[1]) for line in lines]
        best = int(np.argmax(shared)) if lines else None
        if lines and shared[best] >= 0.3 * min(piece.height, lines[best][-1].height):
            lines[best].append(piece)
        else:
            lines.append([piece])
    for piece in pieces:
        if piece.height < TALL * height:
            gaps = [min(_gap(piece, other) for other in line) for line in lines]
            if min(gaps) <= NEAR * height:
                lines[int(np.argmin(gaps))].append(piece)
    lines.sort(key=lambda line: np.mean([piece.box[1] + piece.box[3] for piece in line]))
    return [sorted(line, key=_middle) for line in lines]


def _middle(piece):
    return piece.box[0] + piece.box[2]


def _gap(one, other):
    """Pixels between two boxes, negative where they overlap."""
    return max(max(one.box[:2] - other.box[2:]), max(other.box[:2] - one.box[2:]))


def _cut(line, ink, height, predictor):
    """A line with what may be several digits in one piece cut in two or more."""
    wide = [piece for piece in line if piece.width > WIDE[0] * max(piece.height, TALL * height)]
    wide = sorted(wide, key=lambda piece: -piece.width)[:TOUCHES]
    result = [piece for piece in line if not any(piece is other for other in wide)]
    for piece in wide:
        result += _cut_at(piece, _places(piece, ink, predictor))
    return sorted(result, key=_middle)


def _places(piece, ink, predictor):
    """Columns of a piece to cut at: between the detector's boxes, else where there is least ink."""
    left, top, right, bottom = piece.box
    crop = even(np.where(piece.mask, ink[top:bottom, left:right], 0), piece.mask)
    scale = SIGHT / piece.height
    small = cv2.resize(crop, (max(1, round(piece.width * scale)), SIGHT), interpolation=cv2.INTER_AREA)
    margin = SIGHT // 2
    boxes, scores = predictor.detect(np.uint8(np.pad(small, margin))[None, None])
    seen = [(box[0] + box[2]) / 2 for box, score in zip(boxes[0], scores[0], strict=True) if score.max() >= SURE]
    centres = (np.sort(seen) - margin) / scale
    columns = crop.sum(0)
    if len(centres) < 2:
        if piece.width < WIDE[1] * piece.height:
            return []
        count = max(2, round(piece.width / (0.7 * piece.height)))
        centres = (np.arange(count) + 0.5) * piece.width / count
    places = []
    for start, stop in pairwise(centres):
        low, high = int(start + 0.2 * (stop - start)), int(np.ceil(stop - 0.2 * (stop - start)))
        if low < high <= piece.width:
            places.append(low + int(columns[low:high].argmin()))
    return places


def _cut_at(piece, places):
    """The parts of a piece between the columns `places`, those that hold any ink."""
    parts = []
    for left, right in pairwise([0, *places, piece.width]):
        mask = np.zeros_like(piece.mask)
        mask[:, left:right] = piece.mask[:, left:right]
        if mask.any():
            inner = extent(mask)
            box = np.array(inner) + np.tile(piece.box[:2], 2)
            parts.append(Piece(part=piece.part, box=box, mask=mask[inner[1] : inner[3], inner[0] : inner[2]]))
    return parts


def _candidates(line, height):
    """Which neighbours may be one digit: (start, stop) into a line."""
    for start in range(len(line)):
        for stop in range(start + 1, min(start + TOGETHER, len(line)) + 1):
            chosen = line[start:stop]
            box = _hull(chosen)
            apart = [
                min(_gap(piece, other) for other in chosen[: i + 1])
                for i, piece in enumerate(chosen[1:])
                if all(piece.part != other.part for other in chosen[: i + 1])
            ]
            narrow = box[2] - box[0] <= 1.4 * max(height, box[3] - box[1]) and box[3] - box[1] <= 2 * height
            if len(chosen) == 1 or narrow and max(apart, default=0) <= NEAR * height:
                yield start, stop


def _hull(pieces):
    boxes = np.stack([piece.box for piece in pieces])
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def _framed(ink, pieces):
    """The pieces as one digit, (28, 28) uint8."""
    left, top, right, bottom = _hull(pieces)
    mask = np.zeros((bottom - top, right - left), bool)
    for piece in pieces:
        x, y = piece.box[:2] - (left, top)
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    pad = 2
    mask = np.pad(mask, pad)
    crop = np.pad(ink[top:bottom, left:right], pad)
    image, *_ = frame(even(crop, mask), mask)
    return image


def _best_row(line, says, height):
    """The candidates that together use up the line and are surest, (start, stop) each; small pieces may be left out."""
    best = [(0.0, None, False)] + [(-np.inf, None, False)] * len(line)  # score, where it came from, whether it counts
    for stop in range(1, len(line) + 1):
        for start in range(max(0, stop - TOGETHER), stop):
            if (start, stop) in says:
                score = best[start][0] + (stop - start) * np.log(says[start, stop].confidence)
                if start and line[start].part == line[start - 1].part:
                    score += np.log(TORN)
                best[stop] = max(best[stop], (score, start, True), key=lambda entry: entry[0])
        if line[stop - 1].height < TALL * height:
            left_out = (best[stop - 1][0] + np.log(DIRT), stop - 1, False)
            best[stop] = max(best[stop], left_out, key=lambda entry: entry[0])
    spans, stop = [], len(line)
    while stop:
        _, start, counts = best[stop]
        if counts:
            spans.append((start, stop))
        stop = start
    return spans[::-1]
