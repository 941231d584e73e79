"""Pen strokes, drawn with random pens and shapes and framed by the service's own `frame`.

Strokes are better training data than pictures. Each is drawn differently every time, and its image passes through the
same code as an upload to the service.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from service.picture.framing import SIZE, frame

SIDE = 72  # pixels of the longer side of what is drawn, before it is framed
MARGIN = 16  # pixels around it: more than half of the widest pen
SUBPIXEL = 4  # fractional bits of the coordinates that OpenCV draws
PEN = 0.04, 0.17  # width of the pen, as a share of the longer side; MNIST's is about .12
SLANT, TURN, STRETCH = 0.2, 8.0, 0.15  # standard deviations: columns per row, degrees, log of width over height
LIMIT = 2.0  # standard deviations beyond which slant, turn and stretch are clipped


@dataclass(frozen=True)
class Strokes:
    """Samples of handwriting.

    Sample i has the strokes sample[i] to sample[i + 1] - 1; stroke k has the points stroke[k] to stroke[k + 1] - 1.
    """

    points: np.ndarray  # (P, 2) x to the right and y down, in any unit
    stroke: np.ndarray  # (S + 1,)
    sample: np.ndarray  # (N + 1,)
    label: np.ndarray  # (N,) str
    writer: np.ndarray  # (N,) int
    source: np.ndarray  # (N,) str: the collection it comes from, "" where unknown

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def load(cls, path: Path) -> "Strokes":
        with np.load(path) as file:
            return cls(*(file[name] for name in ("points", "stroke", "sample", "label", "writer", "source")))

    def of(self, rows: np.ndarray) -> "Strokes":
        """The samples `rows` (M,) alone."""
        strokes = _ranges(self.sample[rows], self.sample[rows + 1])
        lengths = self.stroke[strokes + 1] - self.stroke[strokes]
        return Strokes(
            self.points[_ranges(self.stroke[strokes], self.stroke[strokes + 1])],
            np.concatenate([[0], np.cumsum(lengths)]),
            np.concatenate([[0], np.cumsum(self.sample[rows + 1] - self.sample[rows])]),
            *(getattr(self, name)[rows] for name in ("label", "writer", "source")),
        )

    @classmethod
    def joined(cls, parts: list["Strokes"]) -> "Strokes":
        """The samples of all parts, one after another."""
        points = np.cumsum([0, *(len(part.points) for part in parts)])
        strokes = np.cumsum([0, *(len(part.stroke) - 1 for part in parts)])
        return cls(
            np.concatenate([part.points for part in parts]),
            np.concatenate([[0], *(part.stroke[1:] + start for part, start in zip(parts, points[:-1], strict=True))]),
            np.concatenate([[0], *(part.sample[1:] + start for part, start in zip(parts, strokes[:-1], strict=True))]),
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("label", "writer", "source")),
        )


def _ranges(starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The numbers from each start (M,) to before its stop (M,), one range after another."""
    counts = stops - starts
    return np.arange(counts.sum()) + np.repeat(starts - np.concatenate([[0], counts.cumsum()[:-1]]), counts)


def draw_some(strokes: Strokes, rows: np.ndarray, which: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw the samples `rows[which]`. A `Source` has partial(draw_some, strokes, rows) as its `draw`."""
    return draw(strokes, rows[which], generator)


def draw(strokes: Strokes, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw samples `rows` (N,), each with a random pen, slant, turn and stretch: (N, 28, 28) uint8."""
    n = len(rows)
    first, last = strokes.stroke[strokes.sample[rows]], strokes.stroke[strokes.sample[rows + 1]]
    counts = last - first
    starts = np.concatenate([[0], counts.cumsum()])
    points = strokes.points[_ranges(first, last)].astype(np.float32)  # (P, 2), the samples one after another
    each = np.repeat(np.arange(n), counts)
    points = np.einsum("pij,pj->pi", _shapes(n, generator)[each], points)
    low, high = np.minimum.reduceat(points, starts[:-1]), np.maximum.reduceat(points, starts[:-1])
    longest = (high - low).max(1).clip(1)
    points = (points - low[each]) * (SIDE / longest)[each, None] + MARGIN
    fixed = np.round(points * (1 << SUBPIXEL)).astype(np.int32)
    sizes = np.ceil((high - low) * (SIDE / longest)[:, None]).astype(int) + 2 * MARGIN
    pens = np.round(SIDE * np.exp(generator.uniform(math.log(PEN[0]), math.log(PEN[1]), n))).astype(int)
    images = np.empty((n, SIZE, SIZE), np.uint8)
    for i, row in enumerate(rows):
        bounds = strokes.stroke[strokes.sample[row] : strokes.sample[row + 1] + 1] - first[i] + starts[i]
        lines = [fixed[[a, *range(a, b)]] for a, b in pairwise(bounds)]  # a dot is a line from a point to itself
        ink = np.zeros((sizes[i, 1], sizes[i, 0]), np.uint8)
        cv2.polylines(ink, lines, False, 255, int(pens[i]), cv2.LINE_AA, SUBPIXEL)
        images[i] = frame(ink.astype(np.float32), ink > 127)[0]
    return images


def _shapes(n: int, generator: np.random.Generator) -> np.ndarray:
    """A random slant, turn and stretch for each sample, as matrices (n, 2, 2)."""
    slant, turn, stretch = generator.standard_normal((3, n)).clip(-LIMIT, LIMIT) * [
        [SLANT],
        [np.radians(TURN)],
        [STRETCH],
    ]
    wide, tall = np.exp(stretch / 2), np.exp(-stretch / 2)
    cos, sin = np.cos(turn), np.sin(turn)
    turned = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    slanted = np.stack([np.stack([wide, -slant * tall], 1), np.stack([np.zeros(n), tall], 1)], 1)
    return (turned @ slanted).astype(np.float32)
