"""A page of ink to its pieces, line by line: what is connected, and of what touches the digits it may be."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from service.image import even, extent
from service.ink import breadth
from service.upload import InvalidImage

MOST = 200  # pieces of ink that are looked at, the largest: no more may be as tall as a digit
TOUCHES = 16  # pieces that may be several digits, the widest; each is cut
SIGHT = 28  # pixels of a digit's height on a page that the detector sees
SURE = 0.5  # score of a detection that counts
TALL = 0.4  # of the commonest height: what is smaller is a part of a digit, or dirt
CUT_OFF = 0.5  # of the commonest height: what touches the page's edge and is smaller is not all there
SPECK = 0.1  # of the commonest height
BLOT = 3.0  # pens: what is broader was not written
NEAR = 0.25  # of the commonest height: parts of a digit are no further apart
WIDE = 0.9, 1.5  # of its height: what is wider may be several digits, even if the detector sees but one
LINE = 8.0  # of its height: what is wider, and wider than digits are high, is no number


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


def hull(pieces):
    """The box around several."""
    boxes = np.stack([piece.box for piece in pieces])
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])


def pieces_of(likely):
    """The connected parts of ink (H, W) bool that a pen can have made, from the largest on.

    Raises InvalidImage if there are too many to be looked at.
    """
    _, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(likely), connectivity=8)
    large = 1 + np.argsort(-boxes[1:, 2:4].max(1), kind="stable")
    pieces = []
    for part in large[:MOST]:
        x, y, width, height = boxes[part, :4]
        mask = parts[y : y + height, x : x + width] == part
        pieces.append(Piece(part=part, box=np.array([x, y, x + width, y + height]), mask=mask))
    if not pieces:
        return []
    common = common_height(pieces)
    if np.sum(boxes[large, 3] >= TALL * common) > MOST:
        raise InvalidImage(f"The image holds more than {MOST} marks of a digit's height; send a part of it at a time.")
    breadths = [breadth(piece.mask) for piece in pieces]
    pen = np.median([broad for broad, piece in zip(breadths, pieces, strict=True) if piece.height >= TALL * common])
    return [
        piece
        for broad, piece in zip(breadths, pieces, strict=True)
        if broad <= BLOT * pen
        and max(piece.width, piece.height) >= SPECK * common
        and piece.width <= max(LINE * piece.height, common)
        and not _is_cut_off(piece, common, likely.shape)
    ]


def _is_cut_off(piece, common, shape):
    """Whether a piece reaches beyond the page."""
    at_edge = piece.box[:2].min() == 0 or piece.box[2] == shape[1] or piece.box[3] == shape[0]
    return at_edge and piece.height < CUT_OFF * common


def common_height(pieces):
    """The height that half of all height is in pieces no taller than; specks count little, one shadow too."""
    heights = np.sort([piece.height for piece in pieces])
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])


def lines_of(pieces, height):
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
            gaps = [min(gap(piece, other) for other in line) for line in lines]
            if min(gaps) <= NEAR * height:
                lines[int(np.argmin(gaps))].append(piece)
    lines.sort(key=lambda line: np.mean([piece.box[1] + piece.box[3] for piece in line]))
    return [sorted(line, key=_middle) for line in lines]


def _middle(piece):
    return piece.box[0] + piece.box[2]


def gap(one, other):
    """Pixels between two boxes, negative where they overlap."""
    return max(max(one.box[:2] - other.box[2:]), max(other.box[:2] - one.box[2:]))


def cut(lines, ink, height, predictor):
    """The lines with what may be several digits in one piece cut in two or more, where `predictor` or the ink says."""
    wide = [p for line in lines for p in line if p.width > WIDE[0] * p.height and p.height >= TALL * height]
    wide = sorted(wide, key=lambda piece: -piece.width)[:TOUCHES]
    parts = {id(piece): _cut_at(piece, _places(piece, ink, predictor)) for piece in wide}
    return [sorted((part for p in line for part in parts.get(id(p), [p])), key=_middle) for line in lines]


def _places(piece, ink, predictor):
    """Columns of a piece to cut at: between the detector's boxes, else where there is least ink."""
    left, top, right, bottom = piece.box
    crop = even(np.where(piece.mask, ink[top:bottom, left:right], 0), piece.mask)
    scale = SIGHT / piece.height
    small = cv2.resize(crop, (max(1, round(piece.width * scale)), SIGHT), interpolation=cv2.INTER_AREA)
    margin = SIGHT // 2
    boxes, scores = predictor.detect(np.uint8(np.pad(small, margin))[None, None])
    seen = [(box[0] + box[2]) / 2 for box, score in zip(boxes[0], scores[0], strict=True) if score.max() >= SURE]
    centres = np.clip((np.sort(seen) - margin) / scale, 0, piece.width)  # it may see one in the margin
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
