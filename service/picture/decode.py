"""Uploaded bytes to an upright grey picture: only the decoders we allow, limits before any pixel is decoded."""

import ctypes
import threading
import warnings
from contextlib import nullcontext
from io import BytesIO
from typing import Literal, get_args

import cv2
import numpy as np
from PIL import Image

from .container import DAMAGED, check_size, inspect
from .errors import InvalidImage

Format = Literal["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"]  # JPEG also opens MPO, what some phones make of it
FORMATS: tuple[Format, ...] = get_args(Format)
READABLE = 1024  # pixels of the longer side that are enough to read a digit; more is averaged away early
LARGE = 4_000_000  # pixels: one picture of more is decoded at a time, for it takes up to 16 bytes a pixel
GLANCE = 96  # pixels of the longer side that are enough to tell which colours show the ink
REACH = 0.3  # of that side: what a pixel is compared with
INK = 0.002  # of the pixels are ink, at least; those that differ half as much from what is around them are ink too
PALE = 0.75  # of the contrast that some colours have: with less, lightness does not show the ink well
SEEN = 0.25  # of that contrast: what lightness shows so much of must not be lost
LIGHTNESS = np.array((0.299, 0.587, 0.114), np.float32)  # of red, green and blue, as in Pillow's mode L
ORIENTATION = 0x0112  # EXIF tag
COLOURED = ("P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV")  # Pillow's modes
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
MOST_EXIF = 1_000_000  # bytes: a camera writes at most 64 kB, and Pillow reads them tag by tag in Python

warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata, once per process and no news to anybody
_large = threading.Lock()


def _silence_libtiff() -> None:
    """Let libtiff print nothing: it writes a line to file descriptor 2 for each bad row, 115 MB for a hostile file.

    NULL handlers are libtiff's own way to say so (https://libtiff.gitlab.io/libtiff/functions/TIFFError.html).
    """
    library = ctypes.CDLL(Image.core.__file__)  # what Pillow is linked with; its symbols are found through it
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if set_handler := getattr(library, name, None):  # a Pillow with libtiff inside may not show them
            set_handler(None)


_silence_libtiff()


def grey_from_upload(data: bytes, max_pixels: int, formats: tuple[str, ...]) -> tuple[np.ndarray, float]:
    """Decode the first frame of a picture in one of `formats`, some of FORMATS.

    Returns (H, W) uint8 as it is meant to be looked at (turned by its EXIF tag, transparency over a background that
    shows the ink), and the pixels of the upload per pixel of the result: 1 unless it is larger than READABLE. Grey
    levels are of lightness, or, where that hardly tells the ink from its paper, of the mixture of colours that does.
    Raises InvalidImage for bytes that are no allowed picture, ImageTooLarge above `max_pixels`, TooMuchWork for a file
    that would take more than about a second to decode.
    """
    if not data:
        raise InvalidImage(f"The upload is empty; send the bytes of a {_spoken(formats)}.")
    header = inspect(data, formats, max_pixels)
    if header is None:
        raise InvalidImage(f"The upload is not a {_spoken(formats)} image.")
    Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow refuses above twice as many: for what `inspect` overlooks
    try:
        image = Image.open(BytesIO(data), formats=[header.format])
        width, height = image.size
        check_size(width, height, max_pixels)
        image.draft(None, (READABLE, READABLE))  # a JPEG is decoded to what is needed of it
        held = header.width * header.height if header.whole else image.width * image.height
        with _large if held > LARGE else nullcontext():
            image.load()
            picture = _grey(image)
            turn = _turn(image)
            del image  # before the next one is decoded
    except InvalidImage:
        raise
    except Exception as error:  # whatever a damaged file makes a decoder trip over
        raise InvalidImage(DAMAGED) from error
    reduced = max(width, height) / max(picture.shape)
    if turn is not None:
        picture = np.asarray(Image.fromarray(picture).transpose(turn))
    return picture, reduced


def _spoken(formats: tuple[str, ...]) -> str:
    *most, last = (name.replace("WEBP", "WebP") for name in formats)
    return f"{', '.join(most)} or {last}" if most else last


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What brings the picture upright, None for nothing; tags that cannot be read are not worth losing it for."""
    exif = image.info.get("exif") or image.info.get("Raw profile type exif") or b""
    if len(exif) > MOST_EXIF:
        return None
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # as above
        return None


def _grey(image: Image.Image) -> np.ndarray:
    """Any Pillow mode to (H, W) uint8, no larger than about READABLE."""
    factor = max(image.size) // READABLE  # most of it inside Pillow, where it costs no copy of the large picture
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: what range they use is nobody's business but theirs
        if image.mode in ("I", "F"):
            image = image.reduce(max(factor, 1))
            values = np.asarray(image, np.float32)
        else:
            values = np.asarray(image, np.uint16)
        values = np.nan_to_num(_shrink(values).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        return ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if image.mode == "LAB":  # which Pillow turns into nothing else
        image = image.getchannel(0)
    clear = image.has_transparency_data
    if clear:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] == 255:  # it could be, and is nowhere
            clear, image = False, image.convert("RGB")
    mixture = None if clear or image.mode not in COLOURED else _mixture(image)
    mode = "RGBA" if clear else "L" if mixture is None else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if factor > 1:
        image = image.reduce(factor)
    pixels = _shrink(np.asarray(image))
    if clear:
        return _over_contrast(pixels)
    return pixels if mixture is None else _mixed(pixels, mixture)


def _shrink(pixels: np.ndarray) -> np.ndarray:
    longest = max(pixels.shape[:2])
    if longest <= READABLE:
        return pixels
    size = [max(1, round(side * READABLE / longest)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _mixture(image: Image.Image) -> np.ndarray | None:
    """How much of red, green and blue (3,) shows the ink best, or None if lightness shows it well enough.

    The first principal component of what stands out from its surroundings; absolute values add up to 1. None also if
    lightness shows what this would hide, as pencil beside a pink eraser.
    """
    scale = min(GLANCE / max(image.size), 1)
    size = [max(1, round(side * scale)) for side in image.size]
    small = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGB"), np.float32)
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
