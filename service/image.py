"""A grey picture of one digit to what the models know: MNIST's framing, https://yann.lecun.com/exdb/mnist.

White ink on black, the longer side of the ink 20 pixels, its centre of mass in the middle of 28x28.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from service.upload import InvalidImage

SIZE = 28  # pixels a side of the result
INK_SIZE = 20  # pixels of the longer side of the ink in it
WORK = 128, 320  # pixels of the longer side that strokes are looked for at: at least, at most
ZOOM = 0.4  # of the larger working size: a digit smaller than this is looked at again
MARGIN = 0.6  # of the digit's longer side, around it, on the second look
PAPER = 0.3  # of the longer side: nothing wider than this is a stroke
LEAST_CONTRAST = 14  # grey levels between paper and ink
NOISE = 5.0  # ink stands out of the paper's grain by this many deviations
SPECK = 0.03  # of the ink of the digit: a part with less is dirt
NEAR = 0.25  # of the digit's longer side: a part further away belongs to something else
THIN = 0.115  # of the longer side: a pen thinner than this is drawn as thick, for on 20 pixels it would fade


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """What the models see of an upload, and where that was."""

    image: np.ndarray  # (28, 28) uint8, 0 background to 255 ink
    scale: float  # pixels of `image` per pixel of the picture
    x: float  # of the picture's left edge, in `image`
    y: float  # of the picture's upper edge, in `image`
    size: tuple[int, int]  # width and height of the picture

    def to_picture(self, box):
        """(x_min, y_min, x_max, y_max) in pixels of `image` to pixels of the picture, and inside it."""
        offsets, limits = (self.x, self.y) * 2, self.size * 2
        return [
            min(max((float(value) - offset) / self.scale, 0.0), float(limit))
            for value, offset, limit in zip(box, offsets, limits, strict=True)
        ]


def canonicalise(picture):
    """Find the digit in a picture (H, W) uint8, in any polarity, and frame it as MNIST does.

    A picture in that framing already passes unchanged. Raises InvalidImage if there is no ink.
    """
    if is_framed(picture):
        return Canonical(image=picture, scale=1.0, x=0.0, y=0.0, size=(SIZE, SIZE))
    ink, mask, scale = _find(picture)
    box = _extent(mask)
    corner = 0, 0
    longest = max(box[2] - box[0], box[3] - box[1])
    if scale < 1 and longest < ZOOM * WORK[1]:  # a small digit on a large page: look again, from near
        margin = MARGIN * longest
        left, top = (max(0, round((value - margin) / scale)) for value in box[:2])
        right, bottom = (round((value + margin) / scale) for value in box[2:])
        corner = left, top
        ink, mask, scale = _find(picture[top:bottom, left:right])
        box = _extent(mask)
    ink = _even(ink, mask)
    left, top, right, bottom = box
    crop, grown = _thicken(ink[top:bottom, left:right], mask[top:bottom, left:right])
    fit = INK_SIZE / max(crop.shape)
    size = [max(1, round(side * fit)) for side in reversed(crop.shape)]
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    small *= 255 / max(np.quantile(small, 0.97), 1)
    image, x, y = _centre(np.uint8(small.clip(0, 255)))
    return Canonical(
        image=image,
        scale=scale * fit,
        x=x - (left - grown) * fit - corner[0] * scale * fit,
        y=y - (top - grown) * fit - corner[1] * scale * fit,
        size=picture.shape[::-1],
    )


def _find(picture):
    """Ink (H, W) float32 and the digit's mask (H, W) bool at working size, and that size per pixel of the picture."""
    height, width = picture.shape
    longest = max(height, width)
    scale = min(max(longest, WORK[0]), WORK[1]) / longest
    size = [max(1, round(side * scale)) for side in (width, height)]
    work = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    ink = _ink(work.astype(np.float32))
    return ink, _digit(ink), scale


def _extent(mask):
    """(x_min, y_min, x_max, y_max) of the pixels that are set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def is_framed(picture):
    """Whether a picture is as MNIST's are: 28x28, on black, ink 20 pixels long, its mass in the middle."""
    if picture.shape != (SIZE, SIZE) or picture.max() < 128:
        return False
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    y, x = _mass(picture)
    return abs(extent - INK_SIZE) <= 1 and abs(x - SIZE / 2) <= 1.5 and abs(y - SIZE / 2) <= 1.5


def _mass(picture):
    """Centre of mass (y, x), in pixels from the upper left corner."""
    total = picture.sum(dtype=np.float64)
    y = (picture.sum(1) * (np.arange(picture.shape[0]) + 0.5)).sum() / total
    x = (picture.sum(0) * (np.arange(picture.shape[1]) + 0.5)).sum() / total
    return y, x


def _ink(work):
    """How much darker (or lighter) than its paper each pixel is, 0 where it is not: float32, grey levels.

    The paper is the picture with everything narrower than a stroke can be closed, so that a shadow stays paper.
    """
    depth = max(2, max(work.shape) // 40)
    rim = np.ones(work.shape, bool)
    rim[depth:-depth, depth:-depth] = False
    # The paper is what the rim mostly is; ink is on the side that goes furthest from it.
    middle = np.median(work[rim])
    low, high = np.quantile(work, (0.005, 0.995))
    darkness = cv2.GaussianBlur(work, (0, 0), max(work.shape) / 320) * (1 if middle - low >= high - middle else -1)
    side = round(PAPER * max(work.shape)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))  # a square is two passes, a disc is not
    paper = cv2.morphologyEx(darkness, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    paper = cv2.blur(paper, (side // 2 | 1, side // 2 | 1), borderType=cv2.BORDER_REPLICATE)
    ink = paper - darkness
    return (ink - np.median(ink)).clip(0)


def _digit(ink):
    """Which pixels belong to the digit: (H, W) bool. Raises InvalidImage if nothing stands out."""
    strongest = np.quantile(ink, 0.995)
    quiet = ink[ink <= strongest / 2]
    grain = 1.4826 * np.median(np.abs(quiet - np.median(quiet))) if quiet.size else 0.0
    if strongest < max(LEAST_CONTRAST, NOISE * grain):
        raise InvalidImage("The image is blank: no ink stands out from the background.")
    levels = np.uint8((ink * (255 / strongest)).clip(0, 255))
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    sure = levels > otsu
    likely = levels > max(0.6 * otsu, 255 * 3 * grain / strongest)
    count, parts, boxes, _ = cv2.connectedComponentsWithStats(np.uint8(likely), connectivity=8)
    mass = np.bincount(parts.ravel(), np.where(likely, ink, 0).ravel(), count)
    mass[np.bincount(parts.ravel(), sure.ravel(), count) == 0] = 0
    mass[0] = 0
    edges = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    weight = mass.copy()
    weight[edges] *= 0.25  # what touches the edge is more often a shadow or a neighbour
    digit = int(weight.argmax())
    if mass[digit] == 0:
        raise InvalidImage("The image is blank: no ink stands out from the background.")
    x, y, width, height = boxes[digit, :4]
    near = NEAR * max(width, height)
    keep = np.zeros(count, bool)
    for part in np.flatnonzero(mass >= SPECK * mass[digit]):
        px, py, pw, ph = boxes[part, :4]
        gap = max(px - (x + width), x - (px + pw), py - (y + height), y - (py + ph))
        keep[part] = gap <= near and (part not in edges or digit in edges)
    keep[digit] = True
    return keep[parts]


def _even(ink, mask):
    """Ink of the digit alone, 0 to 255 whatever the pen, with the soft edge of its strokes."""
    around = cv2.dilate(np.uint8(mask), np.ones((3, 3), np.uint8))
    return (ink * around * (255 / np.quantile(ink[mask], 0.75))).clip(0, 255)


def _thicken(crop, mask):
    """Draw a thin pen thicker. Returns the crop and by how many pixels it grew on each side."""
    padded = np.pad(np.uint8(mask), 1)
    stroke = 4 * cv2.distanceTransform(padded, cv2.DIST_L2, 3)[padded > 0].mean() - 1  # a strip's mean is a quarter
    missing = round(THIN * max(crop.shape) - stroke)
    if missing < 1:
        return crop, 0
    grown = (missing + 1) // 2
    crop = np.pad(crop, grown)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(crop, kernel), grown


def _centre(small):
    """Place the ink in 28x28 with its centre of mass in the middle, all of it inside. Returns also its corner."""
    height, width = small.shape
    y, x = _mass(small)
    top = int(np.clip(round(SIZE / 2 - y), 0, SIZE - height))
    left = int(np.clip(round(SIZE / 2 - x), 0, SIZE - width))
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[top : top + height, left : left + width] = small
    return image, left, top
