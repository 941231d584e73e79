"""Split the ink of a page into pieces, line by line: connected parts, and cuts through digits that touch."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..picture.errors import TooMuchWork
from ..picture.framing import breadth, extent, frame
from ..picture.ink import written
from .looks import Looks

MOST = 200  # the largest pieces of ink are read, and a page with more of a digit's height is refused
COVER = 20  # the boxes of the pieces may cover the page this many times; rings within rings cover more
SIGHT = 28  # pixels: the height to which a piece is scaled before it is cut
SURE = 0.4  # least score of a detection
# Shares of the commonest height of the pieces on a page:
TALL = 0.4  # least height of a digit; lower pieces are parts of digits, or dirt
SMALLEST = 0.1  # least size of a piece; smaller ones are dirt
REACH = 0.25  # largest gap between two parts of one digit
SAME_PEN = 0.35  # of the breadth of most strokes: thinner pieces are the rest of print, such as a form's box
# Shares of the height of a piece:
WIDE = 0.8  # a wider piece may be several digits
LONGEST = 8.0  # a wider piece is not cut, because the detector's work grows with the width
SHARED = 0.3  # two pieces are on one line if they overlap by this share of the lower one
# Of seams, in pixels at SIGHT:
SEAM_REACH = 3  # a seam crosses less ink than all others within this distance
LEAST_CROSSED, MOST_CROSSED = 0.5, 12.0  # ink that a seam crosses: less cuts nothing off, more cuts through a stroke
ASIDE = 0.5  # cost of going a column aside, in ink crossed


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Connected ink, or a part of it that was cut off."""

    part: int  # number of the connected part that it belongs to
    box: np.ndarray  # x_min, y_min, x_max, y_max in pixels of the page
    mask: np.ndarray  # (H, W) bool, of the box
    first: bool = True  # whether it is the leftmost of its connected part
    last: bool = True  # or the rightmost

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
    """The box around several pieces: x_min, y_min, x_max, y_max."""
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
    """The connected parts of ink (H, W) uint8 that may be digits or parts of digits, the largest first.

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
    """The median height, each piece weighted by its height, so that specks count little."""
    heights = np.array([piece.height for piece in pieces])
    return weighted_median(heights, heights)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The median of values (N,) with weights (N,)."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def lines_of(pieces: list[Piece], height: float) -> list[list[Piece]]:
    """The lines from top to bottom, each with its pieces from left to right. height: the commonest of the pieces."""
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
    """The lines, in which those pieces of `doubtful` that may be several digits are cut. Raises like Looks."""
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
    if not len(seen):  # a letter or a drawing, whose parts may look like digits
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
    return np.clip(np.sort(seen) - margin, 0, small.shape[1])  # a detection may lie in the margin


def _seams(small: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The ways from top to bottom along which a piece (H, W), 0 to 1, is cut: columns (N, H), from left to right.

    Each crosses less ink than its neighbours. Between two digits of `seen` without such a way, the best one is taken.
    """
    above, below = _least(small), _least(small[::-1])
    half = len(small) // 2
    crossed = above[half] + below[len(small) - 1 - half] - small[half]  # by the best way through each middle column
    around = cv2.erode(crossed[None], np.ones((1, 2 * SEAM_REACH + 1)))[0]  # the least within SEAM_REACH
    good = (crossed == around) & (crossed > LEAST_CROSSED) & (crossed < MOST_CROSSED)
    good[:SEAM_REACH] = good[-SEAM_REACH:] = False  # a seam at the edge would cut off nothing
    chosen = [int(x) for x in np.flatnonzero(good) if not good[x - 1]]
    for start, stop in pairwise(seen):
        low, high = int(start + 0.2 * (stop - start)), int(np.ceil(stop - 0.2 * (stop - start)))
        if stop - start > 2 * SEAM_REACH and not any(low <= x < high for x in chosen):
            chosen.append(low + int(crossed[low:high].argmin()))
    ways = [[*_way(above[: half + 1], x)[::-1], *_way(below[: len(small) - half], x)[1:]] for x in sorted(chosen)]
    return np.maximum.accumulate(np.array(ways, int).reshape(-1, len(small)), 0)  # they meet, but do not cross


def _least(ink: np.ndarray) -> np.ndarray:
    """For each pixel of ink (H, W), the least ink on a way to it from the top row, at most a column aside a row."""
    total = ink.copy()
    for row in range(1, len(total)):
        before = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] += np.minimum(before[1:-1], np.minimum(before[:-2], before[2:]) + ASIDE)
    return total


def _way(total: np.ndarray, x: int) -> list[int]:
    """The columns of the best way to column x of the last row, from the last row to the first."""
    columns = [x]
    for row in total[-2::-1]:
        near = [c for c in (x, x - 1, x + 1) if 0 <= c < len(row)]
        x = min(near, key=lambda c: row[c] + ASIDE * (c != columns[-1]))
        columns.append(x)
    return columns
