"""Pictures that are not one clean digit though digits or pieces of ink are in them, and digits in foreign styles.

Both are composed from digits and letters of real people (`training.scenes.scene.Hands`) and framed by the service's
own code. Of the first, no picture may be accepted as one digit: a 7 in a ring is a list's number, an underlined 7 is a
total, a struck 7 does not count, 7a is a house. Of the second, each is one digit: MNIST has almost no slashed zeros,
crossed sevens and ones with an upstroke, and no typed digits.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from service.picture.framing import SIZE
from training.data import mnist
from training.data.lookalikes import UNIPEN as LOOKALIKES
from training.data.writers import Source, check_split, framed
from training.recipe import NONE
from training.scenes import pens
from training.scenes.pens import FONTS
from training.scenes.scene import Hands

HEIGHT = 48  # pixels of a digit before everything is framed
ROOM = 60  # pixels around it for what is drawn there
PEN = 0.05, 0.2  # width of the pen, as a share of HEIGHT
COUNT = 10_000  # of rows; each is another picture each time, and its kind is that of its number
BITMAPS = 0.4  # share of the digits that are MNIST's

Generator = np.random.Generator


class Canvas:
    """Ink that grows while it is drawn; the digit that was first written fills the box (x0, y0, x1, y1), in pixels."""

    def __init__(self, hands: Hands, generator: Generator) -> None:
        self.hands, self.generator = hands, generator
        self.pen = HEIGHT * math.exp(generator.uniform(*np.log(PEN)))
        self.slant = pens.slant(generator)
        self.bitmaps = generator.random() < BITMAPS
        self.ink = np.zeros((HEIGHT + 2 * ROOM, 2 * HEIGHT + 2 * ROOM), np.uint8)
        self.box = np.array([ROOM, ROOM, ROOM + HEIGHT // 2, ROOM + HEIGHT])

    def between(self, low: float, high: float) -> float:
        return float(self.generator.uniform(low, high))

    def sign(self, letter: bool = False, other_than: str = "", height: float = HEIGHT) -> np.ndarray:
        """A digit whose label is not among `other_than`, or a letter, as ink (h, w) uint8."""
        if self.bitmaps and not letter and not other_than:
            return pens.bitmap(self.hands.bitmaps[self.generator.integers(len(self.hands.bitmaps))], height, 0.1)
        rows, labels = self.hands.letters if letter else self.hands.digits, self.hands.strokes.label
        row = int(self.generator.choice(rows))
        while labels[row] in other_than or letter and not labels[row].isalpha():
            row = int(self.generator.choice(rows))
        return pens.trace(self.hands.strokes, row, height, self.pen * height / HEIGHT, self.slant)

    def put(self, ink: np.ndarray, x: float, y: float) -> None:
        """Add ink with its upper left corner at x, y; what is beyond the canvas is cut off."""
        left, top = max(round(x), 0), max(round(y), 0)
        there = self.ink[top : top + ink.shape[0], left : left + ink.shape[1]]
        np.maximum(there, ink[: there.shape[0], : there.shape[1]], out=there)

    def write(self, ink: np.ndarray) -> None:
        """Add the digit that the box is around."""
        self.put(ink, ROOM, ROOM)
        self.box = np.array([ROOM, ROOM, ROOM + ink.shape[1], ROOM + ink.shape[0]])

    def line(self, *points: tuple[float, float]) -> None:
        """Draw a line through points (x, y), each a little off, with about the digit's pen."""
        self.curve(_shaken(points, self.generator))

    def curve(self, points: np.ndarray) -> None:
        pens.curve(self.ink, points, max(2, round(self.pen * self.between(0.6, 1.2))))

    def arc(self, centre: tuple[float, float], radii: tuple[float, float], start: float, turns: float) -> None:
        """Draw `turns` of an ellipse as by hand: its radius drifts and wobbles."""
        angle = start + np.linspace(0, 2 * np.pi * turns, 48)
        wobble = 1 + self.between(0, 0.08) * np.sin(2 * angle + self.between(0, 7))
        wobble = (wobble + self.between(-0.06, 0.06) * angle / 7)[:, None]
        self.curve(centre + radii * wobble * np.stack([np.cos(angle), np.sin(angle)], 1))

    def strokes_of(self, row: int) -> int:
        """Draw some strokes of a sample, in any size, somewhere around the middle. Returns their number."""
        strokes = self.hands.strokes
        bounds = strokes.stroke[strokes.sample[row] : strokes.sample[row + 1] + 1]
        points = strokes.points[bounds[0] : bounds[-1]].astype(np.float64) @ self.slant.T
        size = HEIGHT * self.between(0.4, 1) / max(float(np.ptp(points, 0).max()), 1.0)
        points = (points - points.min(0)) * size + ROOM + HEIGHT * self.generator.uniform(0, 0.5, 2)
        lines = [line for line in np.split(points, bounds[1:-1] - bounds[0]) if self.generator.random() < 0.7]
        for line in lines:
            self.curve(line)
        return len(lines)

    def around(self, least: float, most: float) -> np.ndarray:
        """The box, each side moved outwards by a share of HEIGHT; at least half as wide as high."""
        box = self.box + HEIGHT * self.generator.uniform(least, most, 4) * (-1, -1, 1, 1)
        missing = max(0.0, 0.5 * (box[3] - box[1]) - (box[2] - box[0])) / 2
        return box + (-missing, 0, missing, 0)


def _shaken(points: Sequence[tuple[float, float]], generator: Generator) -> np.ndarray:
    """Points (x, y), each a little off: (P, 2)."""
    return np.array(points) + generator.normal(0, 0.02 * HEIGHT, (len(points), 2))


def _ringed(canvas: Canvas) -> None:
    digit = canvas.sign()
    while digit.shape[1] < 0.35 * digit.shape[0]:  # a 1 in a narrow ring is a slashed zero
        digit = canvas.sign()
    canvas.write(digit)
    x0, y0, x1, y1 = canvas.around(0.05, 0.5)
    radii = (x1 - x0) / 2 * 1.2, (y1 - y0) / 2 * 1.1
    canvas.arc(((x0 + x1) / 2, (y0 + y1) / 2), radii, canvas.between(0, 7), canvas.between(0.85, 1.15))


def _boxed(canvas: Canvas) -> None:
    canvas.write(canvas.sign())
    x0, y0, x1, y1 = canvas.around(0.04, 0.45)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
    first = canvas.generator.integers(4) if canvas.generator.random() < 0.2 else None
    for side in range(4):
        if side != first:
            canvas.line(corners[side], corners[side + 1])


def _underlined(canvas: Canvas) -> None:
    canvas.write(canvas.sign())
    for _ in range(1 + (canvas.generator.random() < 0.3)):
        x0, _, x1, y1 = canvas.around(0.05, 0.35)
        y1 = max(y1, canvas.box[3] + canvas.pen)
        canvas.line((x0, y1), (x1, y1 + canvas.between(-0.08, 0.08) * HEIGHT))


def _between_lines(canvas: Canvas) -> None:
    canvas.write(canvas.sign())
    x0, y0, x1, y1 = canvas.around(0.1, 0.5)
    if canvas.generator.random() < 0.5:
        canvas.line((x0, y0), (x1, y0))
        canvas.line((x0, y1), (x1, y1))
    else:
        canvas.line((x0, y0), (x0, y1))
        canvas.line((x1, y0), (x1, y1))


def _struck(canvas: Canvas) -> None:
    way = canvas.generator.integers(3)
    canvas.write(canvas.sign(other_than="07" if way == 0 else "-"))  # one line across them is how many write them
    x0, y0, x1, y1 = canvas.around(0.15, 0.5)
    middle = (y0 + y1) / 2
    if way == 0:
        rise = canvas.between(-0.5, 0.5) * HEIGHT
        canvas.line((x0, middle + rise), (x1, middle - rise))
    elif way == 1:
        canvas.line((x0, y0), (x1, y1))
        canvas.line((x0, y1), (x1, y0))
    else:
        x = np.linspace(x0, x1, int(canvas.generator.integers(6, 14)))
        y = middle + 0.4 * HEIGHT * canvas.generator.uniform(0.3, 1.2) * np.where(np.arange(len(x)) % 2, 1, -1)
        canvas.line(*zip(x, y, strict=True))


def _signed(canvas: Canvas) -> None:
    """A digit with minus, plus, slash, equals, percent or degree beside it."""
    canvas.write(canvas.sign())
    x0, y0, x1, y1 = canvas.box
    size, gap = canvas.between(0.3, 0.6) * HEIGHT, canvas.pen + canvas.between(0.02, 0.2) * HEIGHT
    left = canvas.generator.random() < 0.5
    x, y = (x0 - gap - size if left else x1 + gap), y0 + canvas.between(0.35, 0.65) * (y1 - y0)
    sign = canvas.generator.integers(5)
    if sign < 3:
        canvas.line((x, y), (x + size, y))
    if sign == 1:
        canvas.line((x + size / 2, y - size / 2), (x + size / 2, y + size / 2))
    elif sign == 2:
        canvas.line((x, y + 2.2 * canvas.pen), (x + size, y + 2.2 * canvas.pen))
    elif sign == 3:
        canvas.line((x, y1), (x + size, y0))
    elif sign == 4:
        canvas.arc((x + 0.3 * size, y0 + 0.3 * size), (0.3 * size, 0.3 * size), 0, 1)


def _several(canvas: Canvas) -> None:
    _side_by_side(canvas, [False] * (2 + (canvas.generator.random() < 0.3)))


def _lettered(canvas: Canvas) -> None:
    first = canvas.generator.random() < 0.5
    _side_by_side(canvas, [first, not first])


def _side_by_side(canvas: Canvas, letters: list[bool]) -> None:
    gap = canvas.between(-0.12, 0.35) * HEIGHT
    x = ROOM // 2
    for letter in letters:
        ink = canvas.sign(letter)
        canvas.put(ink, x, ROOM + canvas.between(-0.12, 0.12) * HEIGHT + (HEIGHT - ink.shape[0]) / 2)
        x += ink.shape[1] + gap


def _stacked(canvas: Canvas) -> None:
    upper, lower = canvas.sign(height=0.8 * HEIGHT), canvas.sign(height=0.8 * HEIGHT)
    x = ROOM + HEIGHT / 2
    canvas.put(upper, x - upper.shape[1] / 2, ROOM / 2)
    y = ROOM / 2 + upper.shape[0] + canvas.between(0.1, 0.25) * HEIGHT
    if canvas.generator.random() < 0.6:
        wide = canvas.between(0.6, 1.2) * HEIGHT
        canvas.line((x - wide / 2, y), (x + wide / 2, y))
        y += canvas.between(0.1, 0.25) * HEIGHT
    canvas.put(lower, x - lower.shape[1] / 2, y)


def _fragment(canvas: Canvas) -> None:
    """What is left of a ring, a box or a table around something else."""
    x0, y0, x1, y1 = canvas.around(0, 0.4)
    kind = canvas.generator.integers(5)
    if kind == 0:  # half a ring, open to any side but the ones of C and a one's upstroke
        canvas.arc(
            ((x0 + x1) / 2, y1),
            (HEIGHT * canvas.between(0.5, 1), HEIGHT * canvas.between(0.4, 0.8)),
            canvas.generator.choice([0.0, math.pi]) + canvas.between(-0.3, 0.3),
            canvas.between(0.4, 0.6),
        )
    elif kind == 1:  # three sides of a box
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        turn = int(canvas.generator.integers(4))
        canvas.line(*(corners[turn:] + corners[:turn]))
    elif kind == 2:  # a whole box, empty, broad
        x1 = x0 + (y1 - y0) * canvas.between(0.8, 1.8)
        canvas.line((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
    elif kind == 3:  # lines that cross
        x, y = x0 + canvas.between(0.1, 0.9) * (x1 - x0), y0 + canvas.between(0.1, 0.9) * (y1 - y0)
        canvas.line((x0, y), (x1, y))
        canvas.line((x, y0), (x, y1))
    else:  # lines side by side
        turned = canvas.generator.random() < 0.5
        apart = canvas.pen * canvas.between(2.4, 4)
        for away in apart * np.arange(int(canvas.generator.integers(2, 5))):
            if turned:
                canvas.line((x0, y0 + away), (x1 + HEIGHT / 3, y0 + away))
            else:
                canvas.line((x0 + away, y0), (x0 + away, y1))


def _scribble(canvas: Canvas) -> None:
    """A pen that was tried out: a curve through many points."""
    points = canvas.generator.uniform(0, 1, (int(canvas.generator.integers(8, 20)), 2)) * HEIGHT * (1.5, 1) + ROOM
    steps = np.linspace(0, len(points) - 1, 120)
    smooth = np.stack([np.interp(steps, np.arange(len(points)), points[:, axis]) for axis in (0, 1)], 1)
    canvas.curve(cv2.GaussianBlur(smooth, (1, 0), sigmaX=0.1, sigmaY=canvas.between(0.1, 4)))


def _invented(canvas: Canvas) -> None:
    """A sign of no script: strokes of several letters, at least three, over and beside each other."""
    labels, drawn = canvas.hands.strokes.label, 0
    while drawn < 3:
        row = int(canvas.generator.choice(canvas.hands.letters))
        if labels[row] not in LOOKALIKES:
            drawn += canvas.strokes_of(row)


def _dirt(canvas: Canvas) -> None:
    for _ in range(int(canvas.generator.integers(2, 9))):
        x, y = canvas.generator.uniform(0, 1, 2) * HEIGHT + ROOM
        canvas.curve(np.array([[x, y], canvas.generator.normal(0, 0.05 * HEIGHT, 2) + (x, y)]))


KINDS: tuple[Callable[[Canvas], None], ...] = (
    *(_ringed, _boxed, _underlined, _between_lines, _struck, _signed, _several, _lettered, _stacked, _fragment),
    *(_scribble, _invented, _dirt),
)


def pictures(split: str, root: Path | str | None = None, writers: Path | str | None = None) -> Source:
    """Pictures of which none is one clean digit, by a split's writers."""
    rows = np.arange(COUNT)
    kinds = np.array([kind.__name__.strip("_").replace("_", " ") for kind in KINDS])
    return Source(
        framed(partial(_ink, _hands(split, root, writers))), np.full(COUNT, NONE), kinds[rows % len(KINDS)], rows
    )


def _ink(hands: Hands, row: int, generator: Generator) -> np.ndarray:
    canvas = Canvas(hands, generator)
    KINDS[row % len(KINDS)](canvas)
    return canvas.ink


@cache
def _hands(split: str, root: Path | str | None, writers: Path | str | None) -> Hands:
    check_split(split)
    return Hands.load(split, root, writers)


def styled(split: str, root: Path | str | None = None) -> Source:
    """Digits in styles that MNIST lacks: zeros slashed, ones with an upstroke, sevens crossed; and typed digits."""
    images, labels = (values.numpy() for values in mnist.load(split, root))
    rows = np.flatnonzero(np.isin(labels, (0, 1, 7)))
    typed = np.full(len(rows) // 3, -1)
    labels = np.concatenate([labels[rows], np.arange(len(typed)) % 10])
    kinds = np.where(np.arange(len(labels)) < len(rows), labels.astype(str), "typed")
    source = np.concatenate([images[rows, 0], np.zeros((len(typed), SIZE, SIZE), np.uint8)])
    return Source(framed(partial(_ink_in_style, source, labels)), labels, kinds, np.arange(len(labels)))


def _ink_in_style(images: np.ndarray, labels: np.ndarray, row: int, generator: Generator) -> np.ndarray:
    if images[row].any():
        return _with_style(pens.bitmap(images[row], HEIGHT, 0.1), int(labels[row]), generator)
    ink = pens.typed(str(labels[row]), str(generator.choice(FONTS)), HEIGHT, generator.uniform(0, 0.08))
    matrix = pens.slant(generator)
    matrix = np.column_stack([matrix, -matrix @ np.array(ink.shape[::-1]) / 2 + HEIGHT])
    return cv2.warpAffine(ink, matrix, (2 * HEIGHT, 2 * HEIGHT))


def _with_style(ink: np.ndarray, digit: int, generator: Generator) -> np.ndarray:
    """A zero slashed, a one with an upstroke and perhaps a foot, a seven crossed, with about the digit's pen."""
    room = HEIGHT // 2
    ink = cv2.copyMakeBorder(ink, room, room, room, room, cv2.BORDER_CONSTANT)
    mask = ink > 127
    y, x = np.nonzero(mask)
    broad = 4 * cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)[mask].mean()
    pen = max(2, round(broad * generator.uniform(0.7, 1)))

    def line(*points: tuple[float, float]) -> None:
        pens.curve(ink, _shaken(points, generator), pen)

    def middle(row: float) -> float:
        """The middle of the ink in a row, in columns."""
        return float(x[np.abs(y - row) <= 2].mean())

    left, right, top, bottom = x.min(), x.max(), y.min(), y.max()
    if digit == 0:
        beyond = generator.uniform(-0.15, 0.15, 2) * HEIGHT
        if generator.random() < 0.2:  # the stroke lies
            row = top + generator.uniform(0.35, 0.65) * (bottom - top)
            beyond = generator.uniform(-0.1, 0.15, 2) * HEIGHT
            line((left - beyond[0], row), (right + beyond[1], row - generator.uniform(-0.05, 0.2) * HEIGHT))
            return ink
        beyond = generator.uniform(-0.15, 0.15, 2) * HEIGHT
        inset = generator.uniform(0.05, 0.35) * (right - left)
        line((left + inset - beyond[0], bottom + beyond[0]), (right - inset + beyond[1], top - beyond[1]))
    elif digit == 1:
        start = middle(top + 3)
        length, angle = generator.uniform(0.2, 0.75) * HEIGHT, generator.uniform(0.4, 1.1)
        line((start - length * math.cos(angle), top + length * math.sin(angle)), (start, top + 2))
        if generator.random() < 0.3:
            end, half = middle(bottom - 3), generator.uniform(0.12, 0.35) * HEIGHT
            line((end - half, bottom), (end + half, bottom))
    elif digit == 7:
        row = top + generator.uniform(0.42, 0.65) * (bottom - top)
        centre, half = middle(row), generator.uniform(0.12, 0.35) * HEIGHT
        rise = generator.uniform(-0.1, 0.2) * half
        line((centre - half, row + rise), (centre + half, row - rise))
    return ink
