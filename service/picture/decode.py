"""An upload to an upright grey picture: decoded here or in a process of its own, then grey levels that show the ink."""

import time
import warnings

import cv2
import numpy as np
from PIL import Image

from .container import FORMATS, Format, inspect, kind_of, readable
from .decoder import load
from .isolation import Budget, Decoder, shared

GLANCE = 96  # pixels of the longer side that are enough to tell which colours show the ink
REACH = 0.3  # of that side: what a pixel is compared with
INK = 0.002  # share of pixels taken as ink: those that differ most from their surroundings, and half as much
PALE = 0.75  # of the contrast that some colours have: with less, lightness does not show the ink well
SEEN = 0.25  # of that contrast: what lightness shows so much of must not be lost
LIGHTNESS = np.array((0.299, 0.587, 0.114), np.float32)  # of red, green and blue, as in Pillow's mode L
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation

warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata, which help nobody


def grey_from_upload(
    data: bytes,
    max_pixels: int,
    formats: tuple[Format, ...] = FORMATS,
    budget: Budget | None = None,
    decoder: Decoder | None = None,
) -> tuple[np.ndarray, float]:
    """Decode the first frame of a picture in one of `formats`, some of FORMATS.

    Returns (H, W) uint8 as it is meant to be looked at (turned by its EXIF tag, transparency over a background that
    shows the ink), and the pixels of the upload per pixel of the result: 1 unless it is larger than `readable`. Grey
    levels are of lightness, or, where that hardly tells the ink from its paper, of the mixture of colours that does.

    budget: what the pictures of one request may take together; default: this one has a budget of its own.
    decoder: the process that decodes all but plain pictures; default: the one that this process shares.

    Raises InvalidImage for bytes that are no allowed picture, ImageTooLarge above `max_pixels`, TooMuchWork for a file
    that takes more processor time than there is, OutOfTime after the deadline of the budget.
    """
    budget = budget or Budget()
    kind = kind_of(data, formats)
    header = inspect(data, kind, max_pixels)
    if header is None or not header.is_plain:
        pixels = (decoder or shared()).load(data, kind, max_pixels, budget)
    else:
        budget.left()
        began = time.thread_time()
        pixels = load(data, kind, max_pixels)
        budget.spend(time.thread_time() - began)
    picture = _grey(pixels.image)
    reduced = max(pixels.width, pixels.height) / max(picture.shape)
    turn = UPRIGHT.get(pixels.orientation)
    if turn is not None:
        picture = np.asarray(Image.fromarray(picture).transpose(turn))
    return picture, reduced


def _grey(image: Image.Image) -> np.ndarray:
    """A picture of mode L, RGB, RGBA, I or F to (H, W) uint8, at most `readable`."""
    if image.mode in ("I", "F"):  # 16- and 32-bit pictures have no agreed range, so it is stretched
        values = _shrink(np.asarray(image, np.float32)).astype(np.float64)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        return ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if image.mode == "RGBA":
        pixels = _shrink(np.asarray(image))
        if pixels[..., 3].min() < 255:
            return _over_contrast(pixels)
        image = image.convert("RGB")  # it could be transparent, and is nowhere
    mixture = _mixture(image) if image.mode == "RGB" else None
    if mixture is None:
        return _shrink(np.asarray(image.convert("L")))
    return _mixed(_shrink(np.asarray(image)), mixture)


def _shrink(pixels: np.ndarray) -> np.ndarray:
    longest, enough = max(pixels.shape[:2]), readable(*pixels.shape[:2])
    if longest <= enough:
        return pixels
    size = [max(1, round(side * enough / longest)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _mixture(image: Image.Image) -> np.ndarray | None:
    """How much of red, green and blue (3,) shows the ink best, or None if lightness shows it well enough.

    The first principal component of what stands out from its surroundings; absolute values add up to 1. None also if
    lightness shows what this would hide, as pencil beside a pink eraser.
    """
    scale = min(GLANCE / max(image.size), 1)
    size = [max(1, round(side * scale)) for side in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.NEAREST), np.float32)
    side = max(1, round(REACH * max(size)))
    away = (small - cv2.blur(small, (side, side), borderType=cv2.BORDER_REPLICATE)).reshape(-1, 3)
    strength = np.linalg.norm(away, axis=1)
    strong = strength >= np.quantile(strength, 1 - INK) / 2
    mixture = np.linalg.eigh(away[strong].T @ away[strong])[1][:, -1]
    mixture *= np.copysign(1, mixture @ LIGHTNESS) / np.abs(mixture).sum()
    light, mixed = np.abs(away @ LIGHTNESS), np.abs(away @ mixture)
    if np.linalg.norm(light[strong]) >= PALE * np.linalg.norm(mixed[strong]):
        return None
    hidden = (light > mixed) & (light > SEEN * np.quantile(mixed, 1 - INK))
    return None if hidden.mean() > INK else mixture


def _mixed(pixels: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) as (H, W) uint8: what is subtracted is added before, so that all fits."""
    return (pixels @ mixture - 255 * mixture.clip(max=0).sum() + 0.5).astype(np.uint8)


def _over_contrast(pixels: np.ndarray) -> np.ndarray:
    """Lay a transparent picture (H, W, 4) over white if its ink is dark, over black if it is light."""
    alpha = pixels[..., 3].astype(np.float32) / 255
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGBA2GRAY).astype(np.float32)
    ink = (colours * alpha).sum() / max(alpha.sum(), 1e-6)
    background = 255.0 if ink < 128 else 0.0
    return (colours * alpha + background * (1 - alpha) + 0.5).astype(np.uint8)
