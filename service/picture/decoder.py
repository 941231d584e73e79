"""Bytes to pixels with Pillow, no more of them than are needed: the one module that runs a decoder.

The service calls `load` for plain pictures. For all others this module is a program, `python -m
service.picture.decoder`: it answers requests from stdin on stdout, each in a process forked for it, which may use so
much memory and processor time, and dies with its picture. It imports no models, no numpy and nothing else of the
service.
"""

import json
import math
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import cast

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from .container import DAMAGED, MEMORY, Format, check_size, readable
from .errors import ImageTooLarge, InvalidImage, TooMuchWork

PLUGINS = (  # imported here, because Pillow would import all that it has for some of them
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
BESIDE = 16_000_000  # bytes that it may take beside its pixels and its file: tables, what is converted at once
PART = 500_000  # pixels that are converted at once
MOST_EXIF = 1_000_000  # bytes: a camera writes at most 64 kB, and Pillow reads them tag by tag in Python
ORIENTATION = 0x0112  # EXIF tag
# Bytes that a decoder holds of a pixel: by format, or by Pillow's mode where nobody else holds any.
HELD = {"HEIC": 5, "AVIF": 9, "1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
# What may stand between a whole JPEG and its end, and would be seen in one that is not: coded data and all restarts.
TAIL = b"".join(bytes([0xFF, 0xD0 + number, *range(1, 255)]) for number in range(8))[2:]

SLOW = "The image takes too long to decode; save it smaller, or as an ordinary JPEG."
HEAVY = "The image takes more memory to decode than a picture may; save it smaller, or as an ordinary JPEG."
REQUEST = struct.Struct(">8sQdQ")  # format, limit of pixels, seconds of processor time, bytes of the file, which follow
REPLY = struct.Struct(">dQ")  # seconds that were used, bytes of the reply, which follow
READY = b"!"  # the first byte on stdout
Box = tuple[int, int, int, int]  # left, top, right, bottom
ERRORS = {error.__name__: error for error in (InvalidImage, ImageTooLarge, TooMuchWork)}


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A decoded picture, reduced so that its longer side has less than twice `readable` pixels."""

    image: Image.Image  # of mode L, RGB, RGBA, I or F
    width: int  # pixels of the upload
    height: int
    orientation: int = 1  # as EXIF counts it: 1 is upright


def load(data: bytes, kind: Format, max_pixels: int) -> Pixels:
    """Decode the first frame of a file in the format `kind`.

    Raises InvalidImage for a damaged file, ImageTooLarge above `max_pixels` or for more than fits into memory.
    """
    try:
        return _heic(data, max_pixels) if kind == "HEIC" else _pillow(data, kind, max_pixels)
    except InvalidImage:
        raise
    except MemoryError as error:
        raise ImageTooLarge(HEAVY) from error
    except Exception as error:  # whatever a damaged file makes a decoder trip over
        raise InvalidImage(DAMAGED) from error


def _pillow(data: bytes, kind: Format, max_pixels: int) -> Pixels:
    image, width, height = _open(data, kind)
    check_size(kind, image.width, image.height, HELD.get(kind, HELD.get(image.mode, 4)), max_pixels)
    try:
        image.load()
    except OSError:
        if kind != "JPEG":
            raise
        # Nothing may be missing but the mark of the end: then it makes no difference what follows the last pixel.
        image, other = (_open(data.rstrip(b"\xff") + tail + b"\xff\xd9", kind)[0] for tail in (b"", TAIL))
        if image.tobytes() != other.tobytes():
            raise

    def part(box: Box) -> Image.Image:
        return image if box == (0, 0, *image.size) else image.crop(box)

    reduced = _reduced(part, image.width, image.height, _mode(image))
    return Pixels(image=reduced, width=width, height=height, orientation=_orientation(image))


def _open(data: bytes, kind: Format) -> tuple[Image.Image, int, int]:
    """A file before its pixels are decoded, and the width and height it has; a JPEG will be decoded reduced."""
    image = Image.open(BytesIO(data), formats=[kind])
    width, height = image.size
    longest, enough = max(width, height, 1), readable(width, height)
    image.draft(None, (max(1, enough * width // longest), max(1, enough * height // longest)))
    return image, width, height


def _heic(data: bytes, max_pixels: int) -> Pixels:
    """A HEIC, without the two further copies that Pillow would make of it: 48 megapixels take 230 MB."""
    import pillow_heif

    file = pillow_heif.open_heif(data, remove_stride=False)
    check_size("HEIC", *file.size, HELD["HEIC"], max_pixels)
    pixels, stride = memoryview(file.data or b""), file.stride
    width, height = file.size  # already turned

    def part(box: Box) -> Image.Image:
        _, top, _, bottom = box
        rows = bytes(pixels[top * stride : bottom * stride])
        whole = Image.frombuffer(file.mode, (width, bottom - top), rows, "raw", file.mode, stride, 1)
        return whole.crop((box[0], 0, box[2], bottom - top))

    mode = file.mode if file.mode in ("L", "RGB") else "RGBA"
    return Pixels(image=_reduced(part, width, height, mode), width=width, height=height)


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation of a picture; tags that cannot be read are not worth losing it for."""
    exif = image.info.get("exif") or image.info.get("Raw profile type exif") or b""
    if len(exif) > MOST_EXIF:
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # as above
        return 1


def _mode(image: Image.Image) -> str:
    """What a picture is converted to: L, RGB, RGBA, I or F."""
    if image.mode.startswith(("I", "F")):
        return "F" if image.mode == "F" else "I"
    if image.mode in ("1", "L", "LAB"):
        return "L"
    return "RGBA" if image.has_transparency_data else "RGB"


def _reduced(part: Callable[[Box], Image.Image], width: int, height: int, mode: str) -> Image.Image:
    """A picture converted to a mode and reduced by a whole number, so that about `readable` pixels are left.

    part: gives what is in a box of the picture. It is asked for a little at a time, because Pillow copies what it
    converts.
    """
    factor = max(1, max(width, height) // readable(width, height))
    if factor == 1:
        return _converted(part((0, 0, width, height)), mode)
    whole = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = max(1, PART // (width * factor))
    columns = max(1, PART // (rows * factor**2))
    for top in range(0, whole.height, rows):
        for left in range(0, whole.width, columns):
            right, bottom = min((left + columns) * factor, width), min((top + rows) * factor, height)
            small = _converted(part((left * factor, top * factor, right, bottom)), mode).reduce(factor)
            whole.paste(small, (left, top))
    return whole


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "LAB":  # which Pillow turns into nothing else
        return image.getchannel(0)
    return image if image.mode == mode else image.convert(mode)


def packed(reply: Pixels | InvalidImage) -> bytes:
    """What became of a picture as a line of JSON, and the pixels."""
    if isinstance(reply, InvalidImage):
        return json.dumps({"error": type(reply).__name__, "says": str(reply)}).encode() + b"\n"
    image = reply.image
    upload = {"width": reply.width, "height": reply.height, "orientation": reply.orientation}
    return json.dumps({"mode": image.mode, "size": image.size} | upload).encode() + b"\n" + image.tobytes()


def unpacked(reply: bytes) -> Pixels:
    """The picture of a reply. Raises the InvalidImage that it holds, and for a reply that cannot be true."""
    line, _, pixels = reply.partition(b"\n")
    try:
        said = json.loads(line)
        if "error" in said:
            raise ERRORS[said["error"]](said["says"])
        image = Image.frombytes(said["mode"], tuple(said["size"]), pixels)
        return Pixels(image=image, width=said["width"], height=said["height"], orientation=said["orientation"])
    except InvalidImage:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidImage(DAMAGED) from error


def main() -> None:
    """Answer requests until stdin ends."""
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    Image.MAX_IMAGE_PIXELS = None  # `load` knows the limit
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    answer = _in_a_fork if hasattr(os, "fork") else _answer
    _write(1, READY)
    while len(request := _read(0, REQUEST.size)) == REQUEST.size:
        seconds, reply = answer(*REQUEST.unpack(request))
        _write(1, REPLY.pack(seconds, len(reply)) + reply)


def _answer(kind: bytes, max_pixels: int, seconds: float, size: int, is_fork: bool = False) -> tuple[float, bytes]:
    """The seconds of processor time that a picture took, and the reply."""
    began, data = time.process_time(), _read(0, size)
    if is_fork:
        _confine(seconds)
    try:
        reply = packed(load(data, cast(Format, kind.rstrip(b"\0").decode()), max_pixels))
    except InvalidImage as error:
        reply = packed(error)
    return time.process_time() - began, reply


def _in_a_fork(kind: bytes, max_pixels: int, seconds: float, size: int) -> tuple[float, bytes]:
    """The answer of a process of its own, or what its death says of the picture."""
    source, sink = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(source)
            _write(sink, _answer(kind, max_pixels, seconds, size, is_fork=True)[1])
            status = 0
        finally:
            os._exit(status)
    os.close(sink)
    with open(source, "rb") as file:
        reply = file.read()
    _, status, usage = os.wait4(child, 0)
    code, used = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
    if code == 0:
        return used, reply
    if -code in (signal.SIGPROF, signal.SIGXCPU):
        return max(used, seconds), packed(TooMuchWork(SLOW))
    return used, packed(ImageTooLarge(HEAVY) if -code == signal.SIGKILL else InvalidImage(DAMAGED))


def _confine(seconds: float) -> None:
    """Limit this process, and take from it what leads to the pictures of others."""
    import resource  # which Windows has not

    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # ends it, to the millisecond
    limits = {resource.RLIMIT_CPU: math.ceil(seconds), resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":  # elsewhere the limit of memory is not kept
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = now + MEMORY + BESIDE
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def _read(source: int, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    data = bytearray()
    while len(data) < size and (part := os.read(source, min(size - len(data), 1 << 20))):
        data += part
    return bytes(data)


def _write(sink: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(sink, view) :]


if __name__ == "__main__":
    main()
