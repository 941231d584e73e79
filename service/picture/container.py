"""What an upload is, by its first bytes, and what its picture may cost, before any decoder sees it.

A picture that is plainly a PNG, JPEG or WebP and not large is decoded in this process. Pillow trusts such a file: it
allocates the size that it claims and reads every piece of metadata. So `inspect` walks over the same structure, counts,
and refuses. Every other picture is decoded in a process of its own (`isolation`), which needs no second parser.
"""

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from .errors import ImageTooLarge, InvalidImage, TooMuchWork

Format = Literal["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "HEIC", "AVIF"]  # JPEG also opens MPO, of some phones
FORMATS: tuple[Format, ...] = get_args(Format)
READABLE = 1024  # pixels of the longer side that are enough to read a page; a larger picture is reduced at once
STRIP = 8  # a picture that is longer, in units of its shorter side, keeps more pixels along it, and none more in all
LONGEST = 8.0  # times as many, at most: then 16 pixels are left of the shorter side, and fewer show no digit
MEMORY = 256_000_000  # bytes that a decoder may hold of its pixels: 64 million of 4 bytes
PLAIN = 16_000_000  # bytes of pixels up to which a picture is decoded here, where several are decoded at once
MOST_METADATA = 1_000  # segments or chunks beside the pixels; an ordinary file has fewer than 100
MOST_BLOCKS = 20_000  # IDAT chunks of a PNG
MOST_COMPRESSED = 100  # compressed texts and profiles of a PNG, each up to 1 MB when unpacked
MOST_PARSED = 1_000_000  # bytes of a JPEG's tables, Exif and Photoshop blocks, which Pillow parses in Python
MOST_JUNK = 10_000  # bytes that belong to nothing, which Pillow steps over one at a time
MOST_SCANS = 100  # of a JPEG; a progressive photograph has about ten
SCANNED = 1_000_000_000  # pixels that the scans of a JPEG go over in all: 0.8 s of processor time

DAMAGED = "The upload is a damaged or truncated image."

SIGNATURES: dict[Format, bytes] = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM",
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"MM(?:\0[*+]|\*\0)|II(?:[*+]\0(?!.{4}CR)|\0\*)",
    "AVIF": rb"....ftyp(?:avi[fs]|m[is]f1.{4}(?:.{4}){0,8}?avi[fs])",
    "HEIC": rb"....ftyp(?:he[iv][cmsx]|m[is]f1)",
}
# What people send instead of a picture, the first that fits, and what they should send.
NOT_READ: dict[str, tuple[bytes, str]] = {
    "a raw photograph of a camera": (rb"II\*\0.{4}CR|FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|....ftypcrx ", "a picture"),
    "a PDF": (rb"\s*%PDF", "a picture of the page"),
    "a PostScript file": (rb"%!PS|\xc5\xd0\xd3\xc6", "a picture of the page"),
    "an HTML page": (rb"(?i)\s*<(?:!doctype html|html|head|body)", "a picture"),
    "an SVG drawing": (rb"(?:\xef\xbb\xbf)?\s*<.*<?svg\b", "a picture"),
    "a Photoshop file": (rb"8BPS", "a picture"),
    "a GIMP file": (rb"gimp xcf", "a picture"),
    "an icon": (rb"\0\0[\x01\x02]\0[^\0]", "a picture"),
    "a JPEG 2000 image": (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a picture"),
    "a JPEG XL image": (rb"\0\0\0\x0cJXL |\xff\n", "a picture"),
    "a Netpbm image": (rb"P[1-7]\s", "a picture"),
    "a DICOM image": (rb".{128}DICM", "a picture"),
    "a NumPy array": (rb"\x93NUMPY", "a picture"),
    "a film": (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xb3\xba]|FLV\x01", "one of its pictures"),
    "a ZIP archive or an Office document": (rb"PK(?:\x03\x04|\x05\x06)|\xd0\xcf\x11\xe0", "its pictures one by one"),
    "an archive": (rb"\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd", "its pictures one by one"),
    "an image as text in base64": (rb"data:|[A-Za-z0-9+/=\r\n]{64}", "the bytes that it stands for"),
    "text": (rb"[\t\r\n\x20-\x7e\x80-\xff]+\Z", "a picture"),
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a picture before it is decoded."""

    name: str  # of its kind, in a sentence
    width: int  # pixels, before it is turned
    height: int
    pixel: float = 4  # bytes that its decoder holds of a pixel
    scans: int = 1  # over all pixels
    ended: bool = True  # whether the file has an end

    @property
    def is_plain(self) -> bool:
        """Whether it may be decoded in this process: whole, and at a cost that several at once may have."""
        pixels = self.width * self.height
        return self.ended and pixels * self.pixel <= PLAIN and pixels * self.scans <= 4 * PLAIN


def along(width: int, height: int) -> float:
    """How many times as many pixels along its longer side a picture is looked at with, 1 for all but strips."""
    return min(LONGEST, math.sqrt(max(1.0, max(width, height) / max(min(width, height), 1) / STRIP)))


def readable(width: int, height: int) -> int:
    """Pixels of the longer side of a picture that are enough to read it."""
    return round(READABLE * along(width, height))


def kind_of(data: bytes, formats: tuple[Format, ...]) -> Format:
    """Which of `formats` an upload has. Raises InvalidImage, which says what it is instead."""
    if not data:
        raise InvalidImage(f"The upload is empty; send the bytes of a {spoken(formats)}.")
    head = data[:1024]
    for kind, signature in SIGNATURES.items():
        if re.match(signature, head, re.DOTALL):
            if kind in formats:
                return kind
            raise InvalidImage(f"This is a {spoken((kind,))}; send a picture, as {spoken(formats)}.")
    for what, (signature, instead) in NOT_READ.items():
        if re.match(signature, head, re.DOTALL):
            raise InvalidImage(f"This is {what}; send {instead}, as {spoken(formats)}.")
    raise InvalidImage(f"The upload is not a {spoken(formats)} image.")


def spoken(formats: tuple[str, ...]) -> str:
    """ "PNG, JPEG or WebP"."""
    *most, last = (name.replace("WEBP", "WebP") for name in formats)
    return f"{', '.join(most)} or {last}" if most else last


def inspect(data: bytes, kind: Format, max_pixels: int) -> Header | None:
    """The header of a PNG, JPEG or WebP; None for a picture of another kind.

    Raises ImageTooLarge above `max_pixels` or MEMORY, TooMuchWork for more work than one request may cause,
    InvalidImage for a file that is damaged or holds more metadata than a picture needs.
    """
    if kind not in READERS:
        return None
    try:
        header = READERS[kind](data)
    except (IndexError, struct.error) as error:
        raise InvalidImage(DAMAGED) from error
    check_size(header.name, header.width, header.height, header.pixel, max_pixels)
    return header


def check_size(name: str, width: int, height: int, pixel: float, max_pixels: int) -> None:
    """Raise InvalidImage for no pixels, ImageTooLarge for more than `max_pixels`, or than fit into MEMORY.

    pixel: bytes that the decoder of a `name` holds of each.
    """
    if width == 0 or height == 0:
        raise InvalidImage(f"The image has {width} x {height} pixels; there is nothing to read.")
    fits = int(MEMORY / pixel)
    if width * height > max_pixels:
        raise ImageTooLarge(f"The image has {width} x {height} pixels; the limit is {max_pixels} in all.")
    if width * height > fits:
        raise ImageTooLarge(f"The image has {width} x {height} pixels; the limit for a {name} is {fits} in all.")


def _limit(count: int, most: int, what: str) -> None:
    if count > most:
        raise InvalidImage(f"The image has more than {most} {what}; save it again without metadata.")


def _check_scans(scans: int, width: int, height: int) -> None:
    """Each scan goes over all pixels, though it may be a few bytes: 10 MB of scans would take half an hour."""
    if scans > MOST_SCANS:
        raise TooMuchWork(f"The image has more than {MOST_SCANS} scans; save it as an ordinary JPEG.")
    if scans > 1 and scans * width * height > SCANNED:
        raise TooMuchWork(f"The image has {scans} scans of {width} x {height} pixels; save it as an ordinary JPEG.")


JPEG_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")  # neither padding nor a restart within coded data
NO_LENGTH = {0xD8, 0xD9, *range(0xF0, 0xFE)}  # markers that stand alone
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers that start a frame and give its size
PROGRESSIVE = 0xC2, 0xC6, 0xCA, 0xCE


def _jpeg(data: bytes) -> Header:
    """A JPEG's frame. It may go over its pixels in many scans, each of which takes a few bytes and much time.

    Of a single scan, little more is held than the pixels that are asked for; of several, the coefficients of all.
    """
    at, segments, junk, parsed, scans = 2, 0, 0, 0, 0
    width = height = 0
    samples = 3.0  # a pixel has
    progressive = ended = False
    while marker := JPEG_MARKER.search(data, at):
        kind, start = marker[1][0], marker.end()
        if not scans:
            junk += marker.start() - at
            _limit(junk, MOST_JUNK, "bytes that belong to nothing")
        if kind in NO_LENGTH:
            if not scans:
                raise InvalidImage(DAMAGED)
            ended = True
            break  # what follows the end, as a film, may look like scans and is none
        length = max(2, int.from_bytes(data[start : start + 2]))
        segments += 1
        _limit(segments, MOST_METADATA, "segments")
        if kind == 0xDA:
            scans += 1
            _check_scans(scans, width, height)
        elif kind < 0xE0 or kind == 0xED or data.startswith(b"Exif", start + 2):
            parsed += length
            _limit(parsed, MOST_PARSED, "bytes of tables and Exif data")
        if kind in FRAMES and not scans:
            height, width, components = struct.unpack_from(">HHB", data, start + 3)
            progressive = kind in PROGRESSIVE
            factors = [data[start + 9 + 3 * number] for number in range(components)]
            sides = [(factor >> 4, factor & 15) for factor in factors]
            if not sides or not all(x and y for x, y in sides):
                raise InvalidImage(DAMAGED)
            samples = sum(x * y for x, y in sides) / (max(x for x, _ in sides) * max(y for _, y in sides))
        at = start + length
    if progressive or scans > 1:
        return Header(name="progressive JPEG", width=width, height=height, pixel=2 * samples, scans=scans, ended=ended)
    enough = readable(width, height)
    reduced = max(side for side in (1, 2, 4, 8) if side * enough <= max(width, height, enough))
    return Header(name="JPEG", width=width, height=height, pixel=4 / reduced**2, ended=ended)


def _png(data: bytes) -> Header:
    at, chunks, blocks, compressed = 8, 0, 0, 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in (b"IDAT", b"fdAT"):
            blocks += 1
        else:
            chunks += 1
            compressed += kind in (b"iCCP", b"zTXt", b"iTXt")
        _limit(chunks, MOST_METADATA, "chunks of metadata")
        _limit(compressed, MOST_COMPRESSED, "chunks of compressed metadata")
        _limit(blocks, MOST_BLOCKS, "chunks of pixels")
        at += 12 + length
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    grey = {0: 2 if depth == 16 else 1, 3: 1}  # Pillow holds 4 bytes of anything coloured
    return Header(name="PNG", width=width, height=height, pixel=grey.get(colour, 4))


def _webp(data: bytes) -> Header:
    """A WebP's canvas. libwebp holds three copies of it, and Pillow a fourth, of 4 bytes a pixel."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return Header(name="WebP", width=width, height=height, pixel=16)


READERS: dict[Format, Callable[[bytes], Header]] = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}
