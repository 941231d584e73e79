"""A page of ink to its pieces, line by line: what is connected, and of what touches the digits it may be."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..picture.errors import TooMuchWork
from ..picture.framing import breadth, extent, frame
from ..picture.ink import written
from .looks import Looks

MOST = 200  # pieces of ink that are looked at, the largest: no more may be as tall as a digit
COVER = 20  # times its own area that the boxes of its pieces may cover of a page: rings within rings cover more
SIGHT = 28  # pixels of the height of a piece that is to be cut
SURE = 0.4  # score of a detection that counts
# Shares of the commonest height of the pieces on a page:
TALL = 0.4  # what is smaller is a part of a digit, or dirt
SMALLEST = 0.1  # what is smaller is dirt
REACH = 0.25  # parts of a digit are no further apart
SAME_PEN = 0.35  # of the breadth of most strokes: what is thinner is left of print, as the box around a digit
# Shares of the height of a piece:
WIDE = 0.8  # what is wider may be several digits
LONGEST = 8.0  # what is wider still is not cut: the detector's work grows with the width
SHARED = 0.3  # of the smaller of two heights: pieces on one line share as much
# Of seams, in pixels at SIGHT:
SEAM_REACH = 3  # a seam is the best of those as near
LEAST_CROSSED, MOST_CROSSED = 0.5, 12.0  # ink on its way: with less it cuts nothing off, with more it is a stroke
ASIDE = 0.5  # ink that a seam would rather cross than go a column aside


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Connected ink, or a part of it that was cut off."""

    part: int  # what it was connected to
    box: np.ndarray  # x_min, y_min, x_max, y_max in pixels of the page
    mask: np.ndarray  # (H, W) bool, of the box
    first: bool = True  # of what it was connected to, from the left
    last: bool = True

    @property
    def width(self) -> int:
        return int(self.box[2] - self.box[0])

    @property
    def height(self) -> int:
        return int(self.box[3] - self.box[1])

    @property
    def middle(self) -> float:
        """Its middle column."""
        return float(self.box[0] + self.box[2]) / 2


def hull(pieces: list[Piece]) -> np.ndarray:
    """The box around several."""
    boxes = np.stack([piece.box for piece in pieces])
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def inked(ink: np.ndarray, pieces: list[Piece]) -> np.ndarray:
    """The ink of pieces, (N,)."""
    parts = []
    for piece in pieces:
        left, top, right, bottom = piece.box
        parts.append(ink[top:bottom, left:right][piece.mask])
    return np.concatenate(parts)


def framed(ink: np.ndarray, pieces: list[Piece]) -> np.ndarray:
    """The pieces as one digit, (28, 28) uint8."""
    left, top, right, bottom = hull(pieces)
    mask = np.zeros((bottom - top, right - left), bool)
    for piece in pieces:
        x, y = piece.box[:2] - (left, top)
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    mask = np.pad(mask, 1)
    crop = np.pad(ink[top:bottom, left:right], 1)
    return frame(crop * cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)), mask)[0]


def pieces_of(ink: np.ndarray) -> list[Piece]:
    """The connected parts of ink (H, W) uint8 that may be digits or parts of them, from the largest on.

    Raises TooMuchWork if there are too many to be looked at.
    """
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(written(ink), connectivity=8)
    large = 1 + np.argsort(-boxes[1:, 2:4].max(1), kind="stable") if count > 1 else np.zeros(0, int)
    if boxes[large[:MOST], 2].astype(float) @ boxes[large[:MOST], 3] > COVER * ink.size:
        raise TooMuchWork("The image holds marks within marks within marks; send a part of it at a time.")
    pieces = []
    for part in large[:MOST]:
        x, y, width, height = boxes[part, :4]
        mask = parts[y : y + height, x : x + width] == part
        pieces.append(Piece(part=int(part), box=np.array([x, y, x + width, y + height]), mask=mask))
    if not pieces:
        return []
    common = common_height(pieces)
    if np.sum(boxes[large, 3] >= TALL * common) > MOST:
        raise TooMuchWork(f"The image holds more than {MOST} marks of a digit's height; send a part of it at a time.")
    pens = np.array([breadth(piece.mask) for piece in pieces])
    pen = weighted_median(pens, np.array([piece.mask.sum() for piece in pieces]))
    return [
        piece
        for piece, own in zip(pieces, pens, strict=True)
        if max(piece.width, piece.height) >= SMALLEST * common and own >= SAME_PEN * pen
    ]


def common_height(pieces: list[Piece]) -> float:
    """The height that half of all height is in pieces no taller than; specks count little, one shadow too."""
    heights = np.array([piece.height for piece in pieces])
    return weighted_median(heights, heights)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value (N,) that half of all weight (N,) is at or below."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def lines_of(pieces: list[Piece], height: float) -> list[list[Piece]]:
    """The pieces line by line from above, each from left to right; height: the commonest."""
    tall = sorted((piece for piece in pieces if piece.height >= TALL * height), key=lambda piece: piece.middle)
    lines: list[list[Piece]] = []
    for piece in tall:
        shared = [min(piece.box[3], line[-1].box[3]) - max(piece.box[1], line[-1].box[1]) for line in lines]
        best = int(np.argmax(shared)) if lines else -1
        if lines and shared[best] >= SHARED * min(piece.height, lines[best][-1].height):
            lines[best].append(piece)
        else:
            lines.append([piece])
    for piece in pieces:
        if piece.height < TALL * height:
            gaps = [min(gap(piece, other) for other in line) for line in lines]
            if min(gaps) <= REACH * height:
                lines[int(np.argmin(gaps))].append(piece)
    lines.sort(key=lambda line: np.mean([piece.box[1] + piece.box[3] for piece in line]))
    return [sorted(line, key=lambda piece: piece.middle) for line in lines]


def gap(one: Piece, other: Piece) -> int:
    """Pixels between two boxes, negative where they overlap."""
    return int(max(max(one.box[:2] - other.box[2:]), max(other.box[:2] - one.box[2:])))


def cut(
    lines: list[list[Piece]], doubtful: list[Piece], ink: np.ndarray, height: float, looks: Looks
) -> list[list[Piece]]:
    """The lines, with those of the pieces `doubtful` cut that may be several digits. Raises like Looks."""
    tall = [piece for piece in doubtful if piece.height >= TALL * height]
    wide = [piece for piece in tall if WIDE * piece.height < piece.width <= LONGEST * piece.height]
    looks.plan(detections=len(wide))
    parts = {piece.part: _parts(piece, ink, looks) for piece in wide}
    return [[part for piece in line for part in parts.get(piece.part, [piece])] for line in lines]


def _parts(piece: Piece, ink: np.ndarray, looks: Looks) -> list[Piece]:
    """The parts of a piece between its seams, from left to right."""
    left, top, right, bottom = piece.box
    crop = ink[top:bottom, left:right] * piece.mask
    scale = SIGHT / piece.height
    small = cv2.resize(crop, (round(piece.width * scale), SIGHT), interpolation=cv2.INTER_AREA)
    seen = _seen(small, looks)
    if not len(seen):  # a letter, or a drawing, whose parts may well look like digits
        return [piece]
    seams = _seams(small.astype(np.float32) / 255, seen) / (small.shape[1] / piece.width)
    rows = np.arange(piece.height) * SIGHT // piece.height
    side = (np.arange(piece.width)[:, None] >= seams[:, rows].T[:, None]).sum(2)  # (H, W): seams to the left
    masks = [piece.mask & (side == number) for number in range(len(seams) + 1)]
    masks = [mask for mask in masks if mask.any()]
    parts = []
    for number, mask in enumerate(masks):
        inner = extent(mask)
        box = np.array(inner) + np.tile(piece.box[:2], 2)
        mask = mask[inner[1] : inner[3], inner[0] : inner[2]]
        first, last = number == 0, number == len(masks) - 1
        parts.append(Piece(part=piece.part, box=box, mask=mask, first=first, last=last))
    return parts


def _seen(small: np.ndarray, looks: Looks) -> np.ndarray:
    """The middle columns of the digits that the detector sees in a piece (H, W) uint8, in order."""
    margin = SIGHT // 2
    boxes, scores = looks.detect(np.pad(small, margin))
    seen = [(box[0] + box[2]) / 2 for box, score in zip(boxes, scores, strict=True) if score.max() >= SURE]
    return np.clip(np.sort(seen) - margin, 0, small.shape[1])  # it may see one in the margin


def _seams(small: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Ways down a piece (H, W), 0 to 1, to cut it along: columns (N, H), from left to right.

    Each crosses less ink than those beside it. Where there is none between two digits of `seen`, the best there is.
    """
    above, below = _least(small), _least(small[::-1])
    half = len(small) // 2
    crossed = above[half] + below[len(small) - 1 - half] - small[half]  # by the best way through each column there
    around = cv2.erode(crossed[None], np.ones((1, 2 * SEAM_REACH + 1)))[0]  # the least of all columns as near as that
    good = (crossed == around) & (crossed > LEAST_CROSSED) & (crossed < MOST_CROSSED)
    good[:SEAM_REACH] = good[-SEAM_REACH:] = False  # a seam has something on either side
    chosen = [int(x) for x in np.flatnonzero(good) if not good[x - 1]]
    for start, stop in pairwise(seen):
        low, high = int(start + 0.2 * (stop - start)), int(np.ceil(stop - 0.2 * (stop - start)))
        if stop - start > 2 * SEAM_REACH and not any(low <= x < high for x in chosen):
            chosen.append(low + int(crossed[low:high].argmin()))
    ways = [[*_way(above[: half + 1], x)[::-1], *_way(below[: len(small) - half], x)[1:]] for x in sorted(chosen)]
    return np.maximum.accumulate(np.array(ways, int).reshape(-1, len(small)), 0)  # they meet, but do not cross


def _least(ink: np.ndarray) -> np.ndarray:
    """The least ink on a way from above to each pixel of ink (H, W), at most a column aside a row."""
    total = ink.copy()
    for row in range(1, len(total)):
        before = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(before[1:-1], np.minimum(before[:-2], before[2:]) + ASIDE)
    return total


def _way(total: np.ndarray, x: int) -> list[int]:
    """The columns of the way that `_least` found to column x of the last row, from there on."""
    columns = [x]
    for row in total[-2::-1]:
        near = [c for c in (x, x - 1, x + 1) if 0 <= c < len(row)]
        x = min(near, key=lambda c: row[c] + ASIDE * (c != columns[-1]))
        columns.append(x)
    return columns
