"""Uploaded bytes to an upright grey picture: only the decoders we allow, limits before any pixel is decoded."""

import struct
import warnings
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")  # JPEG also opens MPO, what some phones make of it
READABLE = (
    1024  # pixels of the longer side that are enough to read a digit; a JPEG is decoded no larger than twice that
)
BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, struct.error)

# Our own limit comes before decoding and is stricter; Pillow's would be a warning first, and an error without a limit.
Image.MAX_IMAGE_PIXELS = None


class InvalidImage(ValueError):
    """An upload that is no readable picture of something written; the message is one sentence for its sender."""


class ImageTooLarge(InvalidImage):
    """An upload with more pixels than are allowed."""


def grey_from_upload(data, max_pixels):
    """Decode the first frame of a picture.

    Returns (H, W) uint8 as it is meant to be looked at (turned by its EXIF tag, transparency over a background that
    shows the ink), and the pixels of the upload per pixel of the result (1 unless a large JPEG was decoded smaller).
    Raises InvalidImage for bytes that are no allowed picture, ImageTooLarge above `max_pixels`.
    """
    if not data:
        raise InvalidImage("The upload is empty; send the bytes of a PNG, JPEG, WebP, BMP, GIF or TIFF.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata help nobody here
        try:
            image = Image.open(BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise InvalidImage("The upload is not a PNG, JPEG, WebP, BMP, GIF or TIFF image.") from error
        except BROKEN as error:
            raise InvalidImage("The upload is a damaged image.") from error
        width, height = image.size
        if width * height > max_pixels:
            raise ImageTooLarge(f"The image has {width} x {height} pixels; the limit is {max_pixels} in all.")
        if width == 0 or height == 0:
            raise InvalidImage(f"The image has {width} x {height} pixels; there is nothing to read.")
        try:
            image.draft(None, (READABLE, READABLE))
            image.load()
            reduced = width / image.width
            image = ImageOps.exif_transpose(image)
            return _grey(image), reduced
        except BROKEN as error:
            raise InvalidImage("The upload is a damaged or truncated image.") from error


def _grey(image):
    """Any Pillow mode to (H, W) uint8."""
    if image.has_transparency_data:
        return _over_contrast(image.convert("RGBA"))
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: what range they use is nobody's business but theirs
        values = np.asarray(image, np.float64)
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        low, high = values.min(), values.max()
        return np.uint8((values - low) * (255 / max(high - low, 1e-9)))
    return np.asarray(image.convert("L"))


def _over_contrast(image):
    """Lay a transparent picture over white if its ink is dark, over black if it is light."""
    alpha = np.asarray(image.getchannel("A"), np.float32) / 255
    colours = np.asarray(image.convert("RGB").convert("L"), np.float32)
    ink = (colours * alpha).sum() / max(alpha.sum(), 1e-6)
    background = 255.0 if ink < 128 else 0.0
    return np.uint8(colours * alpha + background * (1 - alpha) + 0.5)
