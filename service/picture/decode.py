"""Uploaded bytes to an upright grey picture: only the decoders we allow, limits before any pixel is decoded."""

import re
import threading
import warnings
from contextlib import nullcontext
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # JPEG also opens MPO, what some phones make of it
READABLE = 1024  # pixels of the longer side that are enough to read a digit; more is averaged away early
LARGE = 4_000_000  # pixels: one picture of more is decoded at a time, for it takes up to 16 bytes a pixel
GLANCE = 96  # pixels of the longer side that are enough to tell which colours show the ink
REACH = 0.3  # of that side: what a pixel is compared with
INK = 0.002  # of the pixels are ink, at least; those that differ half as much from what is around them are ink too
PALE = 0.75  # of the contrast that some colours have: with less, lightness does not show the ink well
SEEN = 0.25  # of that contrast: what lightness shows so much of must not be lost
LIGHTNESS = np.float32((0.299, 0.587, 0.114))  # of red, green and blue, as in Pillow's mode L
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
TILE_SIZE = 322, 323  # TIFF tags
MOST_SCANS = 100  # of a JPEG; libtiff stops there too, and a progressive photograph has about ten
SCAN, END = b"\xda", b"\xd9"  # JPEG markers
MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # those with a length behind them; there are none in coded data

# Our own limit comes before decoding and is stricter; Pillow's would be a warning first, and an error without a limit.
Image.MAX_IMAGE_PIXELS = None
warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata, once per process and no news to anybody


_large = threading.Lock()


class InvalidImage(ValueError):
    """An upload that is no readable picture of something written; the message is one sentence for its sender."""


class BlankImage(InvalidImage):
    """A picture on which nothing stands out."""

    def __init__(self):
        super().__init__("The image is blank: no ink stands out from the background.")


class ImageTooLarge(InvalidImage):
    """An upload with more pixels than are allowed."""


class TooMuchWork(ImageTooLarge):
    """A picture that would take more work to read than one request may use; the message is one sentence."""


class OutOfTime(TimeoutError):
    """The deadline of a request passed while its picture was read."""

    def __init__(self):
        super().__init__("The picture could not be read in time.")


def grey_from_upload(data, max_pixels, formats):
    """Decode the first frame of a picture in one of `formats`, some of FORMATS.

    Returns (H, W) uint8 as it is meant to be looked at (turned by its EXIF tag, transparency over a background that
    shows the ink), and the pixels of the upload per pixel of the result: 1 unless it is larger than READABLE. Grey
    levels are of lightness, or, where that hardly tells the ink from its paper, of the mixture of colours that does.
    Raises InvalidImage for bytes that are no allowed picture, ImageTooLarge above `max_pixels`.
    """
    if not data:
        raise InvalidImage(f"The upload is empty; send the bytes of a {_spoken(formats)}.")
    try:
        image = Image.open(BytesIO(data), formats=formats)
        width, height = image.size
        _check_size(image, max_pixels)
        scans = _scans(data) if image.format in ("JPEG", "MPO") else 1
        image.draft(None, (READABLE, READABLE))  # for a JPEG: what it leaves of a large one is small
        held = image.width * image.height if scans == 1 else width * height  # libjpeg keeps all until the last scan
        with _large if held > LARGE else nullcontext():
            image.load()
            picture = _grey(image)
            turn = _turn(image)
            del image  # before the next one is decoded
    except InvalidImage:
        raise
    except UnidentifiedImageError as error:
        raise InvalidImage(f"The upload is not a {_spoken(formats)} image.") from error
    except Exception as error:  # whatever a damaged file makes a decoder trip over
        raise InvalidImage("The upload is a damaged or truncated image.") from error
    reduced = max(width, height) / max(picture.shape)
    if turn is not None:
        picture = np.asarray(Image.fromarray(picture).transpose(turn))
    return picture, reduced


def _spoken(formats):
    *most, last = (name.replace("WEBP", "WebP") for name in formats)
    return f"{', '.join(most)} or {last}" if most else last


def _turn(image):
    """What brings the picture upright, None for nothing; tags that cannot be read are not worth losing it for."""
    try:
        return UPRIGHT.get(image.getexif().get(ORIENTATION))
    except Exception:  # as above
        return None


def _check_size(image, max_pixels):
    width, height = image.size
    if width == 0 or height == 0:
        raise InvalidImage(f"The image has {width} x {height} pixels; there is nothing to read.")
    if width * height > max_pixels:
        raise ImageTooLarge(f"The image has {width} x {height} pixels; the limit is {max_pixels} in all.")
    if image.format == "TIFF" and all(tag in image.tag_v2 for tag in TILE_SIZE):
        # A tile may be larger than the picture it is part of, and is decoded whole.
        width, height = (image.tag_v2[tag] for tag in TILE_SIZE)
        if width * height > max_pixels:
            raise ImageTooLarge(f"The image has tiles of {width} x {height} pixels; the limit is {max_pixels} in all.")


def _scans(data):
    """How often a JPEG goes over its pixels. Raises InvalidImage above MOST_SCANS.

    Each goes over all of them, though it may be some bytes: 10 MB of scans would take half an hour. What follows its
    end, a film for instance, may look like scans and is none.
    """
    scans, at = 0, 2
    while (marker := MARKER.search(data, at)) and marker[1] != END:
        scans += marker[1] == SCAN
        if scans > MOST_SCANS:
            raise InvalidImage(f"The image has more than {MOST_SCANS} scans; save it as an ordinary JPEG.")
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return scans


def _grey(image):
    """Any Pillow mode to (H, W) uint8, no larger than about READABLE."""
    factor = max(image.size) // READABLE  # most of it inside Pillow, where it costs no copy of the large picture
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: what range they use is nobody's business but theirs
        if image.mode in ("I", "F"):
            image = image.reduce(max(factor, 1))
            values = np.asarray(image, np.float32)
        else:
            values = np.asarray(image, np.uint16)
        values = np.nan_to_num(np.float64(_shrink(values)), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        return np.uint8((values - low) * (255 / max(high - low, 1e-9)))
    if image.mode == "LAB":  # which Pillow turns into nothing else
        image = image.getchannel(0)
    clear = image.has_transparency_data
    if clear:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] == 255:  # it could be, and is nowhere
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


def _shrink(pixels):
    longest = max(pixels.shape[:2])
    if longest <= READABLE:
        return pixels
    size = [max(1, round(side * READABLE / longest)) for side in pixels.shape[1::-1]]
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _mixture(image):
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


def _mixed(pixels, mixture):
    """A picture (H, W, 3) as (H, W) uint8: what is subtracted is added before, so that all fits."""
    return np.uint8(pixels @ mixture - 255 * mixture.clip(max=0).sum() + 0.5)


def _over_contrast(pixels):
    """Lay a transparent picture (H, W, 4) over white if its ink is dark, over black if it is light."""
    alpha = pixels[..., 3].astype(np.float32) / 255
    colours = cv2.cvtColor(pixels, cv2.COLOR_RGBA2GRAY).astype(np.float32)
    ink = (colours * alpha).sum() / max(alpha.sum(), 1e-6)
    background = 255.0 if ink < 128 else 0.0
    return np.uint8(colours * alpha + background * (1 - alpha) + 0.5)
