"""Photographs of handwriting, made up: what was written is known to the pixel, and so is where each digit is.

A scene is writing of real people (pen strokes of UNIPEN and UJIpenchars2, digits of MNIST), or seldom type. It is laid
out as one sign, a row or a page, with any pen, on a sheet that may be ruled, boxed, printed on, folded, shaded, lying
on a table, and taken by a camera that blurs and adds noise. One scene in eight is drawn on a screen instead; of the
others, one in six holds no writing at all.
"""

import math
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from training.data.mnist import load as load_mnist
from training.data.strokes import Strokes
from training.data.uji import samples as uji_samples
from training.data.unipen import DIGITS, LETTERS, NUMBERS
from training.data.unipen import samples as unipen_samples
from training.data.writers import at_most
from training.scenes import camera, paper, pens, printed
from training.scenes.pens import FONTS

BLANK = 0.16  # of the scenes: nothing is written
ALONE, ROW = 0.35, 0.35  # of the others: one sign; one row of them; the rest are pages
LETTER = 0.25  # of what is written on a page that has letters at all
WITH_LETTERS = 0.4  # of pages and rows
A_WRITER = 150  # samples of each kind, at most: three writers would be a quarter of all
NUMBER = 0.3  # of the rows are one number as somebody wrote it
SCREEN = 0.12  # of the scenes are drawn on a screen, with a broad pen and nothing else there
TIGHT = 0.2  # of the other scenes are cut out around the writing, often a little into it
STEMS = 0.3  # of the signs are ones, more than there would be: their stems are most easily taken for print
BITMAPS = 0.3  # of the writers write MNIST's digits
TYPED = 0.08  # of the writers are typefaces: large typed signs are to be read, and their mouths stay open
BOLD = 0.08  # of the height: by how much a typeface is broader than as designed, at most
LARGE = 36  # pixels: a typed sign as high is no print that stands beside writing
PEN = 0.012, 0.28  # breadth of the pen, as a share of the height of what is written
SCREEN_PEN = 0.04, 0.32
FEW = 4  # signs on a screen, at most
LEAST_PEN = 1.3  # pixels
STRAIGHT, CORNERS = 0.3, 0.04  # of the writers draw straight lines, which leave the curve by this much of the height


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A photograph, and the truth about it."""

    picture: np.ndarray  # (H, W) uint8, grey levels
    ink: np.ndarray  # (H, W) uint8, how much of each pixel is covered by writing, 0 to 255


@dataclass(frozen=True)
class Hands:
    """The handwriting of one split that scenes are written with."""

    strokes: Strokes
    digits: np.ndarray  # rows of `strokes` that are one digit
    ones: np.ndarray  # rows of those that are a 1
    letters: np.ndarray  # rows that are a letter or a sign
    numbers: np.ndarray  # rows that are a whole number, with the spacing and touching of who wrote it
    bitmaps: np.ndarray  # (N, 28, 28) uint8, MNIST's digits

    @classmethod
    def load(cls, split: str, root: Path | str | None = None, writers: Path | str | None = None) -> "Hands":
        """root: of MNIST; writers: of the other sources; None for where they usually are."""
        parts: list[Strokes] = []
        rows: list[np.ndarray] = []
        start = 0
        for kind in (DIGITS, LETTERS, NUMBERS):
            chosen, strokes = unipen_samples(split, writers, kind)
            chosen = at_most(chosen, strokes.writer, strokes.label, A_WRITER)
            parts.append(strokes)
            rows.append(chosen + start)
            start += len(strokes)
        chosen, strokes = uji_samples(split, writers)
        parts.append(strokes)
        rows[0] = np.concatenate([rows[0], chosen + start])
        images, _ = load_mnist(split, root)
        digits, letters, numbers = rows
        strokes = Strokes.joined(parts)
        ones = digits[strokes.label[digits] == "1"]
        return cls(strokes, digits, ones, letters, numbers, images[:, 0].numpy())


@dataclass
class _Writing:
    """What has been written so far on a sheet of `shape`."""

    shape: tuple[int, int]
    boxes: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ink = np.zeros(self.shape, np.uint8)

    def add(self, ink: np.ndarray, x: float, y: float) -> None:
        """Put ink (h, w) uint8 with its upper left corner at x, y; what reaches beyond the sheet is cut off."""
        left, top = round(x), round(y)
        height, width = ink.shape
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + width, self.shape[1]), min(top + height, self.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        there = self.ink[y0:y1, x0:x1]
        np.maximum(there, ink[y0 - top : y1 - top, x0 - left : x1 - left], out=there)
        self.boxes.append(np.array([x0, y0, x1, y1], np.float32))


def scene(hands: Hands, size: int, generator: np.random.Generator) -> Scene:
    """A scene of size x size pixels."""
    shape = (size, size)
    written = _Writing(shape)
    if generator.random() < SCREEN:
        return _on_screen(written, hands, generator)
    sheet = paper.sheet(shape, generator)
    if generator.random() >= BLANK:
        _write(written, hands, generator)
        height = float(np.median([box[3] - box[1] for box in written.boxes])) if written.boxes else size / 4
        sheet = printed.on_paper(sheet, written.boxes, height, generator)
        sheet = paper.with_ink(sheet, written.ink, generator)
    else:
        sheet = printed.on_paper(sheet, [], generator.uniform(0.05, 0.5) * size, generator)
        sheet = printed.things(sheet, generator)
    ink = written.ink
    if written.boxes and generator.random() < TIGHT:
        sheet, ink = _cut_out(sheet, ink, np.array(written.boxes), generator)
    picture, ink = camera.photographed(sheet, ink, generator)
    return Scene(picture=picture, ink=ink)


def _on_screen(written: _Writing, hands: Hands, generator: np.random.Generator) -> Scene:
    """A few signs that fill the picture, in one even colour on another."""
    size = written.shape[0]
    pen = math.exp(generator.uniform(*np.log(SCREEN_PEN)))
    count = int(generator.integers(1, FEW + 1))
    height = 0.75 * size / count ** generator.uniform(0, 1)
    draw = _hand(hands, generator, pen, pens.slant(generator))
    _row(written, draw, height, generator.uniform(0, size - height), count, generator)
    sheet = np.full(written.shape, generator.uniform(150, 255), np.float32)
    ink = written.ink
    sheet *= 1 - generator.uniform(0.6, 1) * (ink / np.float32(255))
    if written.boxes:
        sheet, ink = _cut_out(sheet, ink, np.array(written.boxes), generator)
    return Scene(picture=camera.on_screen(sheet, generator), ink=ink)


def _cut_out(
    sheet: np.ndarray, ink: np.ndarray, boxes: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What is around the boxes (M, 4), as large as the sheet again; paper fills up the square."""
    size = len(sheet)
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = generator.uniform(-0.06, 0.1, 4) * float((high - low).max())
    left, top = np.clip(low - margin[:2], 0, size - 8).astype(int)
    right, bottom = np.maximum(np.clip(high + margin[2:], 0, size).astype(int), (left + 8, top + 8))
    fit = size / max(right - left, bottom - top)
    found = []
    for values in (sheet, ink):
        part = cv2.resize(values[top:bottom, left:right], None, fx=fit, fy=fit, interpolation=cv2.INTER_LINEAR)
        whole = np.full_like(values, np.median(part) if values is sheet else 0)
        whole[: part.shape[0], : part.shape[1]] = part[:size, :size]
        found.append(whole)
    return found[0], found[1]


def _write(written: _Writing, hands: Hands, generator: np.random.Generator) -> None:
    kind = generator.random()
    size = written.shape[0]
    pen = math.exp(generator.uniform(*np.log(PEN)))
    matrix = pens.slant(generator)
    draw = _hand(hands, generator, pen, matrix)
    if kind < ALONE:
        height = size * math.exp(generator.uniform(math.log(0.12), math.log(1.0)))
        ink = draw(height, generator.random() < LETTER / 2)
        room = size - np.array(ink.shape[::-1])
        x, y = room * generator.uniform(0, 1, 2)
        written.add(ink, x, y)
    elif kind < ALONE + ROW:
        count = int(generator.integers(2, 11))
        height = min(size * math.exp(generator.uniform(math.log(0.06), math.log(0.8))), 1.8 * size / count)
        y = generator.uniform(0, max(size - height, 1))
        if generator.random() < NUMBER:
            row = int(hands.numbers[generator.integers(len(hands.numbers))])
            ink = pens.trace(hands.strokes, row, height, max(LEAST_PEN, pen * height), matrix, widest=np.inf)
            written.add(ink, generator.uniform(0, max(size - ink.shape[1], 1)), y)
            return
        _row(written, draw, height, y, count, generator)
    else:
        height = size * math.exp(generator.uniform(math.log(0.04), math.log(0.2)))
        y = generator.uniform(0, height)
        while y < size - height:
            count = int(generator.integers(1, max(2, int(size / height))))
            _row(written, draw, height, y, count, generator)
            y += height * generator.uniform(1.1, 2.2)


def _row(
    written: _Writing,
    draw: Callable[[float, bool], np.ndarray],
    height: float,
    y: float,
    count: int,
    generator: np.random.Generator,
) -> None:
    slope = generator.normal(0, 0.05)
    spacing = generator.uniform(-0.1, 0.4) * height
    letters = generator.random() < WITH_LETTERS
    x = generator.uniform(0, 0.3) * written.shape[1]
    for _ in range(count):
        tall = height * generator.uniform(0.8, 1.1)
        ink = draw(tall, letters and generator.random() < LETTER)
        if x + ink.shape[1] > written.shape[1]:
            break
        written.add(ink, x, y + slope * x + (height - ink.shape[0]) * generator.uniform(0.3, 0.7))
        x += ink.shape[1] + spacing * generator.uniform(0.5, 1.5) + (generator.random() < 0.1) * height


def _hand(
    hands: Hands, generator: np.random.Generator, pen: float, matrix: np.ndarray
) -> Callable[[float, bool], np.ndarray]:
    """One person's way of writing: what draws a sign of a height, a letter or not, as ink (h, w) uint8."""
    bitmaps, straight = generator.random() < BITMAPS, CORNERS * (generator.random() < STRAIGHT)
    face, bold = None, generator.uniform(0, BOLD)
    if generator.random() < TYPED:
        face = str(generator.choice(FONTS))

    def draw(height: float, letter: bool) -> np.ndarray:
        if face and height >= LARGE:
            sign = str(generator.choice(list(string.ascii_letters if letter else string.digits)))
            return pens.typed(sign, face, height, bold)
        if bitmaps and not letter:
            row = int(generator.integers(len(hands.bitmaps)))
            return pens.bitmap(hands.bitmaps[row], height, pen)
        rows = hands.letters if letter else hands.ones if generator.random() < STEMS else hands.digits
        row = int(rows[generator.integers(len(rows))])
        return pens.trace(hands.strokes, row, height, max(LEAST_PEN, pen * height), matrix, straight)

    return draw
