"""A grey picture of one digit to the 28x28 pixels that the models take: find the ink, choose the digit, frame it."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from service.picture.errors import BlankImage
from service.picture.framing import INK_SIZE, SIZE, THIN, centre_of_mass, even, extent, frame, is_framed
from service.picture.ink import PAPER, clearest, find_flat_ink, find_inks, is_dark, strokes
from service.picture.measures import breadth, level
from service.picture.rules import Slopes
from service.picture.sheet import clear_table

SMALL, ENLARGED = 40, 56  # pixels of the longer side: in so few, strokes are a pixel or two wide; what they are made to
FAINTEST = 0.15  # of the strongest ink: what is less is no part of a soft edge
CLEAN, DIRTY = 32, 0.1  # grey levels that paper may vary by; share of a side that may vary by more
NEARLY = 16, 24, 2.5  # pixels that pass for framed: the ink's longer side, at least and at most, and off the middle
WORK = 128, 200  # pixels of the longer side that strokes are looked for at: at least, at most
TINY = 0.03  # of the picture's longer side: what is smaller is dirt on an empty page
ZOOM = 0.4  # of the larger working size: a digit smaller than this is looked at again
MARGIN = 0.6  # of the digit's longer side, around it, on the second look
SPECK = 0.03  # of the ink of the digit: a part with less is dirt
NEAR = 0.25  # of the digit's longer side: a part further away belongs to something else


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """What the models see of an upload, and where that was."""

    image: np.ndarray  # (28, 28) uint8, 0 background to 255 ink
    scale: float  # pixels of `image` per pixel of the picture
    x: float  # of the picture's left edge, in `image`
    y: float  # of the picture's upper edge, in `image`
    size: tuple[int, int]  # width and height of the picture
    ink: np.ndarray | None = None  # (H, W) float32, what was framed; None where the picture passed unchanged

    def to_picture(self, box: Iterable[float]) -> list[float]:
        """(x_min, y_min, x_max, y_max) in pixels of `image` to pixels of the picture, and inside it."""
        offsets, limits = (self.x, self.y) * 2, self.size * 2
        return [
            min(max((float(value) - offset) / self.scale, 0.0), float(limit))
            for value, offset, limit in zip(box, offsets, limits, strict=True)
        ]


def canonicalise(picture: np.ndarray) -> Canonical:
    """Find the digit in a picture (H, W) uint8, in any polarity, and frame it as MNIST does.

    A picture in that framing already passes unchanged. Raises BlankImage if there is no ink.
    """
    if is_framed(picture):
        return Canonical(image=picture, scale=1.0, x=0.0, y=0.0, size=(SIZE, SIZE))
    corner = 0, 0
    if max(picture.shape) <= SMALL:
        ink, mask, scale = _find_small(picture)
        if _is_nearly_framed(picture, ink, mask, scale):
            image = picture if not is_dark(picture.astype(np.float32)) else 255 - picture
            return Canonical(image=image, scale=1.0, x=0.0, y=0.0, size=(SIZE, SIZE))
    else:
        cleared = clear_table(picture)
        try:
            ink, mask, scale, slopes = _find(cleared)
            picture = cleared
        except BlankImage:  # nothing is written on the sheet, but there may be something beside it
            ink, mask, scale, slopes = _find(picture)
        box = extent(mask)
        longest = max(box[2] - box[0], box[3] - box[1])
        if longest < TINY * max(mask.shape):
            raise BlankImage
        if scale < 1 and longest < ZOOM * WORK[1]:  # a small digit on a large page: look again, from near
            margin = MARGIN * longest
            left, top = (max(0, round((value - margin) / scale)) for value in box[:2])
            right, bottom = (round((value + margin) / scale) for value in box[2:])
            corner = left, top
            ink, mask, scale, _ = _find(picture[top:bottom, left:right], slopes)
        ink = even(ink, mask)
    image, fit, x, y = frame(ink, mask)
    return Canonical(
        image=image,
        scale=scale * fit,
        x=x - corner[0] * scale * fit,
        y=y - corner[1] * scale * fit,
        size=picture.shape[::-1],
        ink=ink,
    )


def _find(picture: np.ndarray, slopes: Slopes | None = None) -> tuple[np.ndarray, np.ndarray, float, Slopes | None]:
    """Ink (H, W) float32 and the digit's mask (H, W) bool at working size, and that size per pixel of the picture."""
    longest = max(picture.shape)
    scale = min(max(longest, WORK[0]), WORK[1]) / longest
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    work = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    inks = find_inks(work.astype(np.float32), PAPER, slopes)
    ink, mask = clearest(((one, _digit(one.levels, one.sure, one.likely)) for one in inks), pen=PAPER[-1] / 2)
    return ink.levels, mask, scale, ink.slopes


def _find_small(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Like `_find`, where strokes are a pixel or two wide: paper has no texture then, and all soft edges are ink."""
    scale = ENLARGED / max(picture.shape)
    size = [max(1, round(side * scale)) for side in reversed(picture.shape)]
    ink = find_flat_ink(picture)
    ink = cv2.resize(ink, size, interpolation=cv2.INTER_CUBIC).clip(0)
    digit = _digit(ink, *strokes(ink))
    if not digit.any():
        raise BlankImage
    around = cv2.dilate(np.uint8(digit), np.ones((round(scale) | 1,) * 2, np.uint8))
    ink *= around
    return ink, ink > FAINTEST * ink.max(), scale


def _is_nearly_framed(picture: np.ndarray, ink: np.ndarray, mask: np.ndarray, scale: float) -> bool:
    """Whether the framing of a 28x28 picture is near enough to MNIST's, or the picture too dirty to tell."""
    if picture.shape != (SIZE, SIZE):
        return False
    sides = np.stack([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.float32)
    dirty = (np.abs(sides - level(sides, 0.5)) > CLEAN).mean(1) > DIRTY
    if dirty[:2].all() or dirty[2:].all():  # a digit can touch one side, hardly the one across too
        return True
    left, top, right, bottom = (value / scale for value in extent(mask))
    longest = max(right - left, bottom - top)
    off = max(abs(value / scale - SIZE / 2) for value in centre_of_mass(ink))
    least, most, apart = NEARLY
    plausible = longest > SIZE - 1.5 or least <= longest <= most and off <= apart  # across all of it: a line, no digit
    return plausible and breadth(mask) / scale >= THIN * INK_SIZE


def _digit(ink: np.ndarray, sure: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Which pixels of ink (H, W) belong to the digit: (H, W) bool, none if nothing stands out."""
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(likely), connectivity=8)
    edges = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    depth = cv2.distanceTransform(cv2.copyMakeBorder(np.uint8(likely), 1, 1, 1, 1, 0), cv2.DIST_L2, 3)[1:-1, 1:-1]
    slope = cv2.magnitude(cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1))
    pixels = np.flatnonzero(likely)  # few, so that what follows costs little
    part, levels, depth = parts.ravel()[pixels], ink.ravel()[pixels], depth.ravel()[pixels]
    area = np.bincount(part, minlength=count).clip(1)
    mass = np.bincount(part, levels, count)
    mass[np.bincount(part, sure.ravel()[pixels], count) == 0] = 0
    thickness = np.bincount(part, depth, count) / area
    rim = depth <= 1
    steep = np.bincount(part[rim], slope.ravel()[pixels][rim], count) / np.bincount(part[rim], minlength=count).clip(1)
    # Of a stroke there is much for its thickness, and its edges are steep for its darkness; a shadow is the opposite.
    weight = mass / thickness.clip(0.5) * steep / (mass / area).clip(1)
    weight[edges] *= 0.25  # what touches the edge is more often a shadow or a neighbour
    digit = int(weight.argmax())
    if mass[digit] == 0:
        return np.zeros_like(likely)
    x, y, width, height = boxes[digit, :4]
    near = NEAR * max(width, height)
    keep = np.zeros(count, bool)
    for part in np.flatnonzero(mass >= SPECK * mass[digit]):
        px, py, pw, ph = boxes[part, :4]
        gap = max(px - (x + width), x - (px + pw), py - (y + height), y - (py + ph))
        keep[part] = gap <= near and (part not in edges or digit in edges)
    keep[digit] = True
    return keep[parts]
