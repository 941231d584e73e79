"""Split the ink of a page into connected pieces, lines of pieces, and what belongs to each character of a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from ..picture.errors import TooMuchWork
from ..picture.framing import breadth, extent, frame
from ..picture.ink import written

MOST = 200  # the largest pieces of ink are read, and a page with more of a digit's height is refused
COVER = 20  # the boxes of the pieces may cover the page this many times; rings within rings cover more
# Shares of the commonest height of the pieces on a page:
TALL = 0.4  # least height of a digit; lower pieces are parts of digits, signs, or dirt
SMALLEST = 0.1  # least size of a piece; smaller ones are dirt
REACH = 0.6  # largest gap between a small piece and the line that it is part of
COLUMN = 2.2  # a larger gap separates columns
SAME_PEN = 0.35  # of the breadth of most strokes: thinner pieces are the rest of print, such as a form's box
SHARED = 0.3  # two pieces are on one line if they overlap by this share of the lower one


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Connected ink, or a part of it that was cut off."""

    box: np.ndarray  # x_min, y_min, x_max, y_max in pixels of the page
    mask: np.ndarray  # (H, W) bool, of the box

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
        pieces.append(Piece(box=np.array([x, y, x + width, y + height]), mask=mask))
    if not pieces:
        return []
    common = common_height(pieces)
    if np.sum(boxes[large, 3] >= TALL * common) > MOST:
        raise TooMuchWork(f"The image holds more than {MOST} marks of a digit's height; send a part of it at a time.")
    pen = pen_of(pieces)
    return [
        piece
        for piece in pieces
        if max(piece.width, piece.height) >= SMALLEST * common and breadth(piece.mask) >= SAME_PEN * pen
    ]


def pen_of(pieces: list[Piece]) -> float:
    """The breadth of most strokes of pieces, in pixels."""
    pens = [breadth(piece.mask) for piece in pieces]
    return weighted_median(np.array(pens), np.array([piece.mask.sum() for piece in pieces]))


def common_height(pieces: list[Piece]) -> float:
    """The median height, each piece weighted by its height, so that specks count little."""
    heights = np.array([piece.height for piece in pieces])
    return weighted_median(heights, heights)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The median of values (N,) with weights (N,)."""
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def lines_of(pieces: list[Piece], height: float) -> list[list[list[Piece]]]:
    """The lines from top to bottom, each as its columns from left to right, each of pieces from left to right.

    height: the commonest of the pieces.
    """
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
            gaps = [min(gap(piece, other) for other in line if other.height >= TALL * height) for line in lines]
            if min(gaps) <= REACH * height:
                lines[int(np.argmin(gaps))].append(piece)
    lines.sort(key=lambda line: np.mean([piece.box[1] + piece.box[3] for piece in line]))
    return [list(_columns(line, height)) for line in lines]


def _columns(line: list[Piece], height: float) -> Iterator[list[Piece]]:
    """The parts of a line that stand further apart than COLUMN, each from left to right."""
    part: list[Piece] = []
    end = -np.inf
    for piece in sorted(line, key=lambda piece: piece.box[0]):
        if part and piece.box[0] - end > COLUMN * height:
            yield part
            part = []
        part.append(piece)
        end = max(end, piece.box[2])
    yield part


def gap(one: Piece, other: Piece) -> int:
    """Pixels between two boxes, negative where they overlap."""
    return int(max(max(one.box[:2] - other.box[2:]), max(other.box[:2] - one.box[2:])))


def share_out(pieces: list[Piece], columns: list[float], ink: np.ndarray, height: float) -> list[list[Piece]]:
    """The pieces of a line that belong to each of its characters, some may have none.

    columns: the middle of each character, in pixels of ink (H, W) uint8, from left to right. A piece under several
    characters is cut between them, but a ring around some or a stroke under them belongs to none.
    """
    found: list[list[Piece]] = [[] for _ in columns]
    under = [[i for i, x in enumerate(columns) if piece.box[0] <= x < piece.box[2]] for piece in pieces]
    tall = [one for piece, one in zip(pieces, under, strict=True) if piece.height >= TALL * height]
    whole = {one[0] for one in tall if len(one) == 1}
    for piece, several in zip(pieces, under, strict=True):
        if len(several) > 1:
            several = [i for i in several if i not in whole]
            if not several:
                continue
            for i, part in zip(several, _cut(piece, [columns[i] for i in several], ink), strict=True):
                found[i] += part
        elif several:
            found[several[0]].append(piece)
        elif columns:
            away = [max(piece.box[0] - x, x - piece.box[2]) for x in columns]
            near = int(np.argmin(away))
            if away[near] <= REACH * height:
                found[near].append(piece)
    return found


def _cut(piece: Piece, columns: list[float], ink: np.ndarray) -> Iterator[list[Piece]]:
    """The part of a piece at each of several columns, one or none, cut upright where there is least ink."""
    left, top, right, bottom = piece.box
    amount = (ink[top:bottom, left:right] * piece.mask).sum(0)
    edges = [0]
    for start, stop in pairwise(columns):
        low, high = (round(start + share * (stop - start) - left) for share in (0.25, 0.75))
        edges.append(max(low + int(amount[low : max(high, low + 1)].argmin()), edges[-1] + 1))
    for start, stop in pairwise([*edges, piece.width]):
        mask = piece.mask[:, start:stop]
        if not mask.any():
            yield []
            continue
        inner = extent(mask)
        box = np.array(inner) + np.tile(piece.box[:2] + (start, 0), 2)
        yield [Piece(box=box, mask=mask[inner[1] : inner[3], inner[0] : inner[2]])]
