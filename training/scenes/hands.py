"""Whose hand writes a line, and with which pen: signs of one split's writers, each drawn as ink of its own size."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from training.data import drawings, omniglot, uji, unipen
from training.data.mnist import load as load_mnist
from training.data.strokes import Strokes
from training.data.writers import Source, at_most
from training.scenes import pens
from training.scenes.pens import FONTS
from training.scenes.texts import DRAWING

Generator = np.random.Generator
A_WRITER = 150  # samples of each kind, at most: three writers would be a quarter of all
OWN = 8  # digits, at least, of a writer who writes whole lines
TYPED, BITMAPS, ONE_WRITER = 0.06, 0.22, 0.45  # shares of the lines; the rest takes each sign from anybody
SLANTED = 0.12  # of the lines lean much more than most
LEAST_PEN = 1.0  # pixels
# Height and width of a sign, at most, each between two shares of a digit's height; and its middle, from the top.
SIGNS = {
    ".": ((0.05, 0.16), (0.05, 0.16), 0.95),
    ",": ((0.14, 0.36), (0.1, 0.25), 1.03),
    "-": ((0.04, 0.3), (0.22, 0.6), 0.5),
    "+": ((0.35, 0.8), (0.35, 0.8), 0.5),
    "/": ((1.0, 1.6), (0.6, 1.2), 0.5),
    ":": ((0.35, 0.75), (0.1, 0.3), 0.6),
    "%": ((0.7, 1.15), (0.5, 1.3), 0.5),
    "=": ((0.2, 0.45), (0.3, 0.8), 0.5),
    "(": ((0.95, 1.5), (0.4, 0.7), 0.5),
    ")": ((0.95, 1.5), (0.4, 0.7), 0.5),
    "x": ((0.4, 0.75), (0.4, 0.8), 0.62),
    "€": ((0.8, 1.2), (0.5, 1.2), 0.5),
    "$": ((0.9, 1.4), (0.4, 1.0), 0.5),
    "#": ((0.7, 1.15), (0.6, 1.2), 0.5),
    "*": ((0.3, 0.6), (0.3, 0.6), 0.35),
    '"': ((0.15, 0.3), (0.15, 0.35), 0.1),
}
# Signs of straight strokes: where two strokes begin and end, in shares of the sign's width and height.
STRAIGHT = {
    "=": (((0, 0), (1, 0)), ((0, 1), (1, 1))),
    "+": (((0, 0.5), (1, 0.5)), ((0.5, 0), (0.5, 1))),
    "x": (((0, 0), (1, 1)), ((1, 0), (0, 1))),
    "/": (((1, 0), (0, 1)), ((1, 0), (0, 1))),
    ":": (((0.5, 0), (0.5, 0.1)), ((0.5, 1), (0.5, 0.9))),
}
SMALL_LETTERS, HANGING = frozenset("acemnorsuvwxz"), frozenset("gjpqy")


@dataclass(frozen=True)
class Signs:
    """Everything that one split's writers wrote, by what it is."""

    strokes: Strokes
    rows: dict[str, np.ndarray]  # a character -> rows of `strokes`
    writers: list[dict[str, np.ndarray]]  # the same of the digits of each writer who wrote OWN of them
    numbers: np.ndarray  # rows that are a whole number
    drawings: np.ndarray  # rows that are a drawing
    bitmaps: dict[str, np.ndarray]  # a digit -> (N, 28, 28) uint8 of MNIST
    characters: np.ndarray  # (N, 105, 105) uint8, of Omniglot

    @classmethod
    def load(cls, split: str, root: Path | str | None = None, writers: Path | str | None = None) -> "Signs":
        """root: of MNIST; writers: of the other sources; None for where they usually are."""
        parts: list[Strokes] = []
        rows: list[np.ndarray] = []
        start = 0
        for chosen, strokes in (
            *(unipen.samples(split, writers, kind) for kind in (unipen.DIGITS, unipen.LETTERS, unipen.NUMBERS)),
            uji.samples(split, writers),
            *(_rows_of(source(split, writers)) for source in (drawings.symbols, drawings.doodles)),
        ):
            if len(parts) < 2:
                chosen = at_most(chosen, strokes.writer, strokes.label, A_WRITER)
            parts.append(strokes)
            rows.append(chosen + start)
            start += len(strokes)
        joined = Strokes.joined(parts)
        digits = np.concatenate([rows[0], rows[3]])
        people = joined.writer.astype(int) + 100_000 * (np.arange(start) >= rows[3][0])  # UJI has its own numbers
        images, names = load_mnist(split, root)
        letters: Any = omniglot.letters(split, writers).draw  # partial(..., pictures)
        return cls(
            strokes=joined,
            rows=_by_label(joined.label, np.concatenate([digits, rows[1]])),
            writers=[
                _by_label(joined.label, own)
                for person in np.unique(people[digits])
                if len(own := digits[people[digits] == person]) >= OWN
            ],
            numbers=rows[2],
            drawings=np.concatenate(rows[4:]),
            bitmaps={str(digit): images[names == digit, 0].numpy() for digit in range(10)},
            characters=letters.args[0],
        )


def _rows_of(source: Source) -> tuple[np.ndarray, Strokes]:
    """The strokes that a source draws, and the rows of its split in them."""
    draw: Any = source.draw  # partial(draw_some, strokes, rows)
    strokes, rows = draw.args
    return rows, strokes


def _by_label(labels: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {str(label): rows[labels[rows] == label] for label in np.unique(labels[rows])}


class Hand:
    """How one line is written."""

    def __init__(self, signs: Signs, generator: Generator) -> None:
        g = self._generator = generator
        self._signs = signs
        # As a share of a digit's height, to a felt pen; half are ball-point pens. The service thickens what is thinner.
        self.pen = math.exp(g.uniform(math.log(0.04), math.log(0.27))) if g.random() < 0.5 else g.uniform(0.05, 0.15)
        stretch = math.exp(g.normal(0.0, 0.16))
        self._matrix = pens.slant(g) * [[stretch], [1.0]]
        if g.random() < SLANTED:
            self._matrix = self._matrix @ [[1, -g.normal(0, 0.4)], [0, 1]]
        self._straight = 0.04 * (g.random() < 0.2)
        kind = g.random()
        self._face = str(g.choice(FONTS)) if kind < TYPED else None
        self._bold = g.uniform(0, 0.08)
        self._bitmaps = TYPED <= kind < TYPED + BITMAPS
        one = kind > 1 - ONE_WRITER
        self._own = signs.writers[int(g.integers(len(signs.writers)))] if one else {}

    @property
    def is_typed(self) -> bool:
        return self._face is not None

    def draw(self, sign: str, height: float) -> tuple[np.ndarray, float]:
        """A sign among digits of `height` pixels: its ink (h, w) uint8, and its middle, in heights from the top.

        A sign that nobody of the split wrote is typed.
        """
        g = self._generator
        if sign == DRAWING:
            return self._drawing(height * g.uniform(0.8, 1.25)), 0.5
        if sign in SIGNS:
            tall, wide, middle = SIGNS[sign]
            return self._sign(sign, height * g.uniform(*tall), height * g.uniform(*wide)), middle + g.normal(0, 0.05)
        if sign.isdigit():
            return self._digit(sign, height), 0.5 + g.normal(0, 0.03)
        tall = 0.65 if sign in SMALL_LETTERS else 1.0
        middle = 1 - tall / 2 + (0.25 if sign in HANGING else 0)
        return self._letter(sign, height * tall * g.uniform(0.85, 1.1)), middle

    def number(self, height: float) -> tuple[np.ndarray, str]:
        """A whole number as somebody wrote it, and its digits."""
        row = int(self._generator.choice(self._signs.numbers))
        return self._trace(row, height, np.inf), str(self._signs.strokes.label[row])

    def zeros(self, count: int, height: float) -> np.ndarray:
        """Zeros in one stroke, as they end an amount: rings or loops, joined at the top or in a row of waves."""
        g = self._generator
        width, tilt = g.uniform(0.5, 1.1), g.uniform(-0.3, 0.3)
        step = width * g.uniform(0.75, 1.6)
        start, over = g.uniform(-0.6, 0.9), g.uniform(-0.1, 0.35)
        points = []
        for number in range(count):
            angle = np.linspace(start, start + 2 * np.pi * (1 + over * (g.random() < 0.7)), 22)
            size = g.uniform(0.75, 1.1)
            x = -np.sin(angle) * width / 2 * size + number * step
            y = -np.cos(angle) * size / 2 + g.normal(0, 0.04)
            points.append(np.stack([x + tilt * -y, y], 1))
        line = np.concatenate(points) + g.normal(0, 0.008, (22 * count, 2))
        return self._polyline(line * height, height)

    def pen_width(self, height: float) -> float:
        return max(LEAST_PEN, self.pen * height)

    def _polyline(self, points: np.ndarray, height: float) -> np.ndarray:
        """One stroke through points (P, 2) in pixels."""
        pen = self.pen_width(height)
        margin = math.ceil(pen / 2) + 1
        low, high = points.min(0), points.max(0)
        width, tall = np.ceil(high - low).astype(int) + 2 * margin
        ink = np.zeros((tall, width), np.uint8)
        fixed = np.round((points - low + margin) * 16).astype(np.int32)
        cv2.polylines(ink, [fixed], False, 255, max(1, round(pen)), cv2.LINE_AA, 4)
        return ink

    def _trace(self, row: int, height: float, widest: float = pens.WIDEST, whole: float | None = None) -> np.ndarray:
        """whole: the height of a digit beside it, for which the pen is as broad as it is."""
        jitter = np.eye(2) + self._generator.normal(0, 0.04, (2, 2))
        pen = self.pen_width(whole or height)
        return pens.trace(self._signs.strokes, row, height, pen, self._matrix @ jitter, self._straight, widest)

    def _digit(self, sign: str, height: float) -> np.ndarray:
        g = self._generator
        if self._face:
            return pens.typed(sign, self._face, height, self._bold)
        if self._bitmaps and len(choice := self._signs.bitmaps[sign]):
            return pens.bitmap(choice[int(g.integers(len(choice)))], height, self.pen)
        rows = self._own.get(sign, self._signs.rows[sign])
        return self._trace(int(rows[g.integers(len(rows))]), height)

    def _sign(self, sign: str, height: float, width: float) -> np.ndarray:
        g = self._generator
        whole = max(height, width) / max(SIGNS[sign][0][1], SIGNS[sign][1][1])  # about a digit's height
        if self._face and "cmr" not in self._face:
            return pens.typed(sign, self._face, height, 0)
        pen = self.pen_width(whole)
        if sign in ".,-" and g.random() < 0.5:  # many of UNIPEN's are large beside their writer's digits
            return self._short(sign, height, width, whole)
        if sign in STRAIGHT and g.random() < 0.4:
            return self._straight_sign(sign, height, width, whole)
        if sign == "€" and "C" in self._signs.rows:
            return self._euro(height, width, whole)
        rows = self._signs.rows.get(sign)
        if rows is None:
            return pens.typed(sign, FONTS[0], height, 0)
        row = int(rows[g.integers(len(rows))])
        return self._trace(row, max(height, pen + 1), width / max(height, pen + 1), whole)

    def _short(self, sign: str, height: float, width: float, whole: float) -> np.ndarray:
        """A point, comma or dash of one straight stroke."""
        g = self._generator
        if sign == "-":
            points = [(0, 0), (width, g.normal(0, 0.1) * width)]
        elif sign == ",":
            points = [(0, 0), (g.uniform(-0.1, 0.1) * height, 0.4 * height), (-g.uniform(0, 0.6) * height, height)]
        else:
            points = [(0, 0), (g.uniform(0, 0.3) * height, g.uniform(0, 0.3) * height)]
        return self._polyline(np.array(points), whole)

    def _straight_sign(self, sign: str, height: float, width: float, whole: float) -> np.ndarray:
        """A sign of straight strokes, each a little askew, as broad as the digits' strokes."""
        g = self._generator
        strokes = np.array(STRAIGHT[sign]) * (width, height) + g.normal(0, 0.03 * max(width, height), (2, 2, 2))
        pen = max(1, round(self.pen_width(whole)))
        margin = pen // 2 + 2
        strokes += margin - strokes.min((0, 1))
        wide, high = np.ceil(strokes.max((0, 1))).astype(int) + margin
        ink = np.zeros((high, wide), np.uint8)
        for line in np.round(strokes * 16).astype(np.int32)[: 1 if sign == "/" else 2]:
            cv2.line(ink, line[0].tolist(), line[1].tolist(), 255, pen, cv2.LINE_AA, 4)
        return ink

    def _euro(self, height: float, width: float, whole: float) -> np.ndarray:
        """A C with two strokes through it, which UNIPEN lacks."""
        g = self._generator
        rows = self._signs.rows["C"]
        ink = np.pad(self._trace(int(rows[g.integers(len(rows))]), height, width / height, whole), ((0, 0), (4, 4)))
        high, wide = ink.shape
        pen = max(1, round(self.pen_width(whole)))
        for at in (g.uniform(0.34, 0.46), g.uniform(0.54, 0.68)):
            y, lean = at * high, g.normal(0, 0.04) * high
            stop = wide * g.uniform(0.5, 0.85)
            ends = [(round(x * 16), round(v * 16)) for x, v in ((g.uniform(0, 3), y), (stop, y + lean))]
            cv2.line(ink, ends[0], ends[1], 255, pen, cv2.LINE_AA, 4)
        return ink

    def _letter(self, sign: str, height: float) -> np.ndarray:
        g = self._generator
        rows = self._signs.rows.get(sign)
        if self._face or rows is None:
            return pens.typed(sign, self._face or FONTS[0], height, self._bold)
        return self._trace(int(rows[g.integers(len(rows))]), height)

    def _drawing(self, height: float) -> np.ndarray:
        g, signs = self._generator, self._signs
        if len(signs.drawings) and g.random() < 0.7:
            return self._trace(int(signs.drawings[g.integers(len(signs.drawings))]), height)
        picture = signs.characters[int(g.integers(len(signs.characters)))]
        broad = max(1, round(self.pen * 105))
        ink = cv2.dilate(np.pad(picture, broad), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (broad, broad)))
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        fit = height / max(ink.shape[0], ink.shape[1] / pens.WIDEST)
        size = [max(2, round(side * fit)) for side in reversed(ink.shape)]
        return cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
