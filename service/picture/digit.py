"""A grey picture of one digit to the 28x28 pixels that the models take: find the ink, choose the digit, frame it."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from .errors import BlankImage
from .framing import INK_SIZE, SIZE, THIN, breadth, centre_of_mass, extent, frame, is_framed
from .ink import SURELY, InkFinder, is_even, is_shown, is_sure, rim, written

LOOK = 256  # pixels of the longer side that a picture is looked at with: what the network was trained on
CLOSER = 1024  # where nothing was seen, as for a page: of 60 lone digits of 18 to 48 pixels, 52 are read instead of 15
NEAR = 0.25  # of the digit's longer side: a part further away belongs to something else
SPECK = 0.03  # of the ink of the digit: a part with less is dirt, which makes the digit look higher than it is
AT_EDGE = 0.25  # weight of ink that touches the picture's edge: without it, a digit that is cut off hides a whole one
OTHER, OTHER_INK = 0.5, 0.2  # of the digit's height, unless it is near, and ink: what has less is no other digit
WIDE = 0.9  # of its height: a digit that is wider may be several, such as a joined 10
# Pixels of a 28x28 picture that pass for framed: the ink's longer side, at least and at most, and off the middle.
# MNIST-C loses .2 % of its digits so, 2 % of the blurred ones without it (benchmarks.pictures, part corrupted).
NEARLY = 16, 25.5, 3.0


@dataclass(frozen=True, kw_only=True)
class Ink:
    """What is written in a picture, and what of it is the digit."""

    levels: np.ndarray  # (H, W) uint8: how surely each pixel is ink
    mask: np.ndarray  # (H, W) bool: the digit
    scale: float  # pixels of these per pixel of the picture
    is_crowded: bool  # whether there may be other digits

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """(x_min, y_min, x_max, y_max) of the digit."""
        return extent(self.mask)

    @property
    def longest(self) -> int:
        """Pixels of the digit's longer side."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @cached_property
    def digit(self) -> np.ndarray:
        """The ink (H, W) uint8 of the digit alone, with the soft edge of its strokes."""
        return self.levels * cv2.dilate(self.mask.astype(np.uint8), np.ones((3, 3), np.uint8))


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """A picture that may hold several digits."""

    picture: np.ndarray  # (H, W) uint8
    ink: np.ndarray  # (H, W) uint8, of all of it
    scale: float  # pixels of the ink per pixel of the picture


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """What the models see of an upload, and where that was."""

    image: np.ndarray  # (28, 28) uint8, 0 background to 255 ink
    scale: float  # pixels of `image` per pixel of the picture
    x: float  # of the picture's left edge, in `image`
    y: float  # of the picture's upper edge, in `image`
    size: tuple[int, int]  # width and height of the picture
    ink: np.ndarray | None = None  # (H, W) uint8, what was framed; None where the picture passed unchanged
    crowd: Crowd | None = None  # None where there surely is but one digit
    is_sure: bool = True  # that what was framed is written: False for lines of a face or a texture

    def inside(self, picture: np.ndarray, left: int, top: int) -> "Canonical":
        """The same for a picture (H, W) in which the one that was canonicalised begins at left, top."""
        x, y = self.x - left * self.scale, self.y - top * self.scale
        return replace(self, x=x, y=y, size=picture.shape[::-1])

    def to_picture(self, box: Iterable[float]) -> list[float]:
        """(x_min, y_min, x_max, y_max) in pixels of `image` to pixels of the picture, and inside it."""
        offsets, limits = (self.x, self.y) * 2, self.size * 2
        return [
            min(max((float(value) - offset) / self.scale, 0.0), float(limit))
            for value, offset, limit in zip(box, offsets, limits, strict=True)
        ]


def canonicalise(picture: np.ndarray, finder: InkFinder) -> Canonical:
    """Find the digit in a picture (H, W) uint8, dark or light, and frame it as MNIST does.

    A picture in that framing already passes unchanged. Raises BlankImage if there is no ink.
    """
    if is_framed(picture):
        return _unchanged(picture)
    if picture.shape == (SIZE, SIZE) and not is_even(rim(picture)) and not _is_light(picture):
        return _unchanged(picture)  # MNIST's, with fog, stripes or noise in which no frame can be told
    field = _field(picture)
    if field is not None:
        with suppress(BlankImage):
            left, top, right, bottom = field
            return canonicalise(picture[top:bottom, left:right], finder).inside(picture, left, top)
    ink = _ink(picture, finder)
    if picture.shape == (SIZE, SIZE):
        there = cv2.resize(ink.mask.astype(np.uint8), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 0
        dark = there.any() and picture[there].mean() < picture[~there].mean()
        in_fog = not dark and not is_even(rim(picture))  # that is brighter than _is_light takes for a dark picture
        if in_fog or _is_nearly_framed(ink):
            return _unchanged(255 - picture if dark else picture)
    image, fit, x, y = frame(ink.digit, ink.mask)
    return Canonical(
        image=image,
        scale=ink.scale * fit,
        x=x,
        y=y,
        size=picture.shape[::-1],
        ink=ink.digit,
        crowd=Crowd(picture=picture, ink=ink.levels, scale=ink.scale) if ink.is_crowded else None,
        is_sure=not is_shown(picture) or is_sure(ink.levels[ink.mask]),
    )


def _field(picture: np.ndarray) -> tuple[int, int, int, int] | None:
    """Where in a picture (H, W) uint8 another one is: an even field on even paper of another level.

    So matplotlib saves an image, with or without axes: of 90 digits, 89 are read instead of 35. As left, top, right,
    bottom, without the edge; None if there is no such field.
    """
    around = rim(picture)
    if min(picture.shape) < 2 * SIZE or not is_even(around):
        return None
    differs = np.abs(picture.astype(np.int16) - int(np.median(around))) > SURELY // 2
    spans = []
    for filled in (differs.sum(0), differs.sum(1)):
        along = np.flatnonzero(filled > filled.max() / 2) if filled.max() else np.zeros(1, int)
        edge = 2 + (along[-1] - along[0]) // 50  # antialiased, and the line of an axis
        spans.append((int(along[0] + edge), int(along[-1] + 1 - edge)))
    (left, right), (top, bottom) = spans
    if 2 * min(right - left, bottom - top) < min(picture.shape):
        return None
    edge = rim(picture[top:bottom, left:right])
    other = abs(float(np.median(edge)) - float(np.median(around))) > SURELY // 2
    return (left, top, right, bottom) if other and is_even(edge) else None


def _unchanged(picture: np.ndarray) -> Canonical:
    return Canonical(image=picture, scale=1.0, x=0.0, y=0.0, size=(SIZE, SIZE))


def _is_light(picture: np.ndarray) -> bool:
    """Whether the ink of a 28x28 picture is dark: most of it is light, and less than a fifth of its rim is black."""
    return bool(picture.mean() > 127 and np.quantile(rim(picture), 0.2) > 64)


def _is_nearly_framed(ink: Ink) -> bool:
    """Whether the framing of a 28x28 picture, whose ink this is, is near enough to MNIST's."""
    off = max(abs(value / ink.scale - SIZE / 2) for value in centre_of_mass(ink.digit))
    least, most, apart = NEARLY
    longest = ink.longest / ink.scale
    plausible = longest > SIZE - 1.5 or least <= longest <= most and off <= apart  # across all of it: a line, no digit
    return plausible and breadth(ink.mask) / ink.scale >= THIN * INK_SIZE


def _ink(picture: np.ndarray, finder: InkFinder) -> Ink:
    """The ink of a picture (H, W) uint8. What is so small that framing would enlarge it is looked for from near.

    Raises BlankImage if there is none, from near either.
    """
    ink = _look(picture, finder, LOOK)
    if ink is None or ink.longest < INK_SIZE:
        ink = _look(picture, finder, CLOSER) or ink
    if ink is None:
        raise BlankImage
    return ink


def _look(picture: np.ndarray, finder: InkFinder, longest: int) -> Ink | None:
    """The ink of a picture (H, W) uint8, seen with `longest` pixels on its longer side, None if there is none.

    The digit is the part with the most ink, less if it touches the edge, with what is near it.
    """
    levels, scale = finder.find(picture, longest)
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(written(levels), connectivity=8)
    if count == 1:
        return None
    parts = np.asarray(parts, np.int32)
    mass = np.bincount(parts.ravel(), levels.ravel(), count)
    mass[0] = 0
    at_edge = np.zeros(count, bool)
    at_edge[rim(parts)] = True
    digit = int((mass * np.where(at_edge, AT_EDGE, 1)).argmax())
    x, y, width, height = boxes[digit, :4]
    starts, stops = boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]
    gaps = np.maximum(starts - (x + width, y + height), (x, y) - stops).max(1)
    keep = (gaps <= NEAR * max(width, height)) & (at_edge[digit] | ~at_edge) & (mass >= SPECK * mass[digit])
    keep[0], keep[digit] = False, True
    much = mass >= OTHER_INK * mass[digit]
    several = (much & (keep | (boxes[:, 3] >= OTHER * height))).sum() > 1
    wide, high = stops[keep].max(0) - starts[keep].min(0)
    crowded = bool(several or wide > WIDE * high)
    return Ink(levels=levels, mask=keep[parts], scale=scale, is_crowded=crowded)
