"""A line of writing as the line recogniser sees it, and what it says of it.

models/line.onnx takes grey lines of HEIGHT pixels and any width. For each step of STEP columns it gives the logarithms
of the probabilities of BLANK and of each of CHARACTERS, as Connectionist Temporal Classification has them (Graves et
al., https://doi.org/10.1145/1143844.1143891).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ..picture.ink import SURELY

HEIGHT, INK = 40, 28  # pixels of a line, and of its writing in the middle of it
STEP = 2  # columns a step
MARGIN = 0.5  # of the height of the writing: paper shown to its left and right
DIGITS, SIGNS = "0123456789", ".,-+/:%=()x€$#"
OTHER = "?"  # how a transcript shows another mark: a letter, a word, a drawing
CHARACTERS = DIGITS + SIGNS + OTHER  # class i + 1 is the i-th
BLANK, CLASSES = 0, len(CHARACTERS) + 1
PAPER, CONTRAST = 128, 36.0  # the level of paper, and levels of one standard deviation
FLATTEST = 4.0  # grey levels of a standard deviation, at least: grain of paper is not blown up
TALL = 0.4  # of the commonest height on the page: what is lower does not say how high a line is
LEAST = 0.8  # of it: a line is shown as if it were as high, or a speck would fill it
THIN = 0.07  # of the height of the writing: a thinner pen is drawn as thick, or it would fade
PAPER_INK = 32  # of 255: what is less surely ink is paper
STEEPEST = 0.3  # rows a column that a line may rise or fall
LONG = 2.5  # heights between the first and the last mark of a line whose slope is known
FAVOUR = 2.0  # of digits against signs, which are commoner among the lines of training: of a 1 that leans like a slash
WIDEST = 4096  # columns; a longer line is shown smaller, because the work of attention grows with the square


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A line cut out of a picture."""

    grey: np.ndarray  # (HEIGHT, W) uint8, as `levelled` leaves it
    left: float  # of its left edge, in pixels of the ink
    fit: float  # pixels of it per pixel of the ink
    top: float  # of its writing, in the middle of the strip, in pixels of the ink
    bottom: float

    def column(self, step: float) -> float:
        """The middle of a step, in pixels of the ink."""
        return self.left + (step + 0.5) * STEP / self.fit


@dataclass(frozen=True, kw_only=True)
class Character:
    """One that was read."""

    sign: str  # of CHARACTERS
    probability: float
    step: int  # at which it was surest
    digits: np.ndarray  # (10,) probabilities of the digits there

    @property
    def may_be_digit(self) -> float:
        """How likely it is any digit, 0 to 1."""
        digit = FAVOUR * float(self.digits.sum())
        return digit / (digit + 1 - float(self.digits.sum()))

    @property
    def is_digit(self) -> bool:
        return self.sign in DIGITS or (self.sign != OTHER and FAVOUR * self.digits.sum() > self.probability)


def cut_out(
    picture: np.ndarray, ink: np.ndarray, scale: float, boxes: np.ndarray, height: float, pen: float = np.inf
) -> Strip:
    """The line of marks with boxes (K, 4) in pixels of ink (H, W) uint8, `scale` of them a pixel of the picture.

    height: the commonest on the page; pen: the breadth of the strokes, in pixels of the ink.
    """
    boxes = boxes.astype(np.float64)
    left, right = boxes[:, 0].min(), boxes[:, 2].max()
    is_tall = boxes[:, 3] - boxes[:, 1] >= TALL * height
    boxes = boxes[is_tall] if is_tall.any() else boxes
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    slope = 0.0
    if len(x) > 2 and np.ptp(x) > LONG * height:
        slope = float(np.clip(np.polyfit(x, y, 1)[0], -STEEPEST, STEEPEST))
    top, bottom = (boxes[:, 1] - slope * x).min(), (boxes[:, 3] - slope * x).max()
    tall = max(float(bottom - top), LEAST * height)
    middle = float(top + bottom) / 2
    left, right = float(left - MARGIN * tall), float(right + MARGIN * tall)
    fit = min(INK / tall, WIDEST / (right - left))
    width = max(8, round((right - left) * fit))
    # The part of the picture in which the strip lies, as large as the strip is, and then upright.
    rise = [slope * left, slope * right]
    half = HEIGHT / fit / 2
    low, high = middle + min(rise) - half, middle + max(rise) + half
    ratio = fit * scale  # pixels of the strip per pixel of the picture
    edges = np.array([left, low, right, high]) / scale
    x0, y0 = np.floor(edges[:2]).astype(int)
    x1, y1 = np.ceil(edges[2:]).astype(int)
    part = _padded(picture, x0, y0, x1, y1)
    light = _is_light(picture, ink, scale, left, low, right, high)
    missing = round((THIN * INK - pen * fit) / ratio) if np.isfinite(pen) else 0
    if missing > 0:  # a hair line would fade
        kernel = np.ones((missing + 1, missing + 1), np.uint8)
        part = cv2.dilate(part, kernel) if light else cv2.erode(part, kernel)
    size = max(1, round(part.shape[1] * ratio)), max(1, round(part.shape[0] * ratio))
    part = cv2.resize(part, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC)
    matrix = np.array(
        [[1, 0, (left / scale - x0) * ratio], [slope, 1, (middle + slope * left - half) * fit - y0 * ratio]], np.float64
    )
    grey = cv2.warpAffine(
        part,
        matrix,
        (width, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    centre = middle + slope * (left + right) / 2
    grey = levelled(grey, light)
    if (inside := _inside(picture, x0, y0, x1, y1)) is not None:
        inside = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
        outside = cv2.warpAffine(inside, matrix, (width, HEIGHT), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP) == 0
        grey[outside] = PAPER
    return Strip(
        grey=grey,
        left=left,
        fit=fit,
        top=centre - tall / 2,
        bottom=centre + tall / 2,
    )


def _padded(picture: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    """A part of a picture (H, W); what is beyond its edges is paper."""
    height, width = picture.shape
    inside = picture[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    pads = max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0)
    if not any(pads):
        return inside
    if not inside.size:  # a slanted line of one mark that leaves the picture
        return np.full((y1 - y0, x1 - x0), np.median(picture), np.uint8)
    return cv2.copyMakeBorder(inside, *pads, cv2.BORDER_REPLICATE)


def _inside(picture: np.ndarray, x0: int, y0: int, x1: int, y1: int) -> np.ndarray | None:
    """1 for each pixel of a part that is in the picture, else 0, (H, W) uint8; None if all are."""
    height, width = picture.shape
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return None
    inside = np.zeros((y1 - y0, x1 - x0), np.uint8)
    inside[max(-y0, 0) : max(height - y0, 0), max(-x0, 0) : max(width - x0, 0)] = 1
    return inside


def _is_light(
    picture: np.ndarray, ink: np.ndarray, scale: float, left: float, low: float, right: float, high: float
) -> bool:
    """Whether the writing in a part of the ink is lighter than its paper."""
    top, side = max(int(low), 0), max(int(left), 0)
    part = ink[top : int(high) + 1, side : int(right) + 1]
    levels = []
    for chosen in (part > SURELY, part < PAPER_INK):
        at = np.argwhere(chosen)
        if not len(at):
            return False
        y, x = ((at + (top, side) + 0.5) / scale).astype(int).T
        levels.append(float(np.mean(picture[y.clip(max=picture.shape[0] - 1), x.clip(max=picture.shape[1] - 1)])))
    return levels[0] > levels[1]


def levelled(grey: np.ndarray, light: bool = False) -> np.ndarray:
    """A line (H, W) uint8 of any light on paper of one level; light: its writing is lighter than its paper.

    Light that falls more strongly on one side is evened out, as a plane through the medians of columns and of rows.
    """
    values = grey.astype(np.float32)
    for axis in (0, 1):
        level = np.median(values, axis=axis)
        at = np.linspace(-1, 1, len(level), dtype=np.float32)
        slope = at * np.float32(level @ at / max(float(at @ at), 1.0))
        values -= slope if axis == 0 else slope[:, None]
    values -= np.median(values)
    scale = CONTRAST / max(float(values.std()), FLATTEST)
    return (values * (-scale if light else scale) + PAPER).clip(0, 255).astype(np.uint8)


def batched(lines: list[np.ndarray], multiple: int = 4) -> np.ndarray:
    """Lines (HEIGHT, W) uint8 of any widths side by side, (N, 1, HEIGHT, W) uint8, filled up with paper."""
    width = -(-max(line.shape[1] for line in lines) // multiple) * multiple
    batch = np.full((len(lines), 1, HEIGHT, width), PAPER, np.uint8)
    for row, line in zip(batch, lines, strict=True):
        row[0, :, : line.shape[1]] = line
    return batch


def steps(line: np.ndarray) -> int:
    """How many steps of what is said of a batch are of a line (HEIGHT, W) itself."""
    return -(-line.shape[1] // STEP)


def characters(log_probabilities: np.ndarray) -> list[Character]:
    """The likeliest class of each step (T, CLASSES), runs of one class once and blanks left out."""
    best = log_probabilities.argmax(1)
    found = []
    starts = np.flatnonzero(np.concatenate([[True], best[1:] != best[:-1]]))
    for start, stop in zip(starts, [*starts[1:], len(best)], strict=True):
        if best[start] == BLANK:
            continue
        run = log_probabilities[start:stop, best[start]]
        step = int(start + run.argmax())
        found.append(
            Character(
                sign=CHARACTERS[best[start] - 1],
                probability=float(np.exp(run.max())),
                step=step,
                digits=np.exp(log_probabilities[step, 1:11]),
            )
        )
    return found
