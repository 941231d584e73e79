"""What a file says about its picture, read and limited before any decoder sees the file.

Pillow and libtiff trust a file: they allocate the size that it claims and read every piece of metadata in it. So 43
bytes took 4 GB, and 10 MB of empty segments 13 seconds. `inspect` walks over the same structure, counts, and refuses.
It takes the same steps as the decoder behind it: bytes that only one of the two skips could hide a million segments.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .errors import ImageTooLarge, InvalidImage, TooMuchWork
from .tiff import Tiff

MOST_METADATA = 1_000  # segments, chunks or blocks beside the pixels; an ordinary file has fewer than 100
MOST_BLOCKS = 20_000  # blocks that pixels are stored in: IDAT chunks of a PNG, strips of a TIFF
MOST_COMPRESSED = 100  # compressed texts and profiles of a PNG, each up to 1 MB when unpacked
MOST_PARSED = 1_000_000  # bytes of a JPEG's tables, Exif and Photoshop blocks, which Pillow parses in Python
MOST_JUNK = 10_000  # bytes that belong to nothing, which Pillow steps over one at a time
MOST_RLE = 1_000_000  # pixels, and bytes, of a BMP with run-length coding, which Pillow decodes in Python
MOST_SCANS = 100  # of a JPEG; libtiff stops there too, and a progressive photograph has about ten
WEBP = 0.85  # of the pixels that others may have: libwebp holds three copies of them, and Pillow two
SCANNED = 400_000_000  # pixels that the scans of a JPEG go over in all: 16 megapixels 25 times


DAMAGED = "The upload is a damaged or truncated image."


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a picture before it is decoded."""

    format: str  # as Pillow names it
    width: int  # pixels, before it is turned
    height: int
    whole: bool = True  # whether the decoder holds all pixels at once, even if fewer are asked for


def inspect(data: bytes, formats: tuple[str, ...], max_pixels: int) -> Header | None:
    """The header of a file in one of `formats`, or None if the file is none of them.

    Raises ImageTooLarge above `max_pixels`, TooMuchWork for more work than one request may cause, InvalidImage for a
    file that is damaged or holds more metadata than a picture needs.
    """
    for name, (signatures, read) in READERS.items():
        if name in formats and data.startswith(signatures):
            try:
                header = read(data)
            except (IndexError, struct.error) as error:
                raise InvalidImage(DAMAGED) from error
            check_size(header.width, header.height, int(max_pixels * WEBP) if name == "WEBP" else max_pixels)
            return header
    return None


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise InvalidImage for no pixels, ImageTooLarge for more than `max_pixels`."""
    if width == 0 or height == 0:
        raise InvalidImage(f"The image has {width} x {height} pixels; there is nothing to read.")
    if width * height > max_pixels:
        raise ImageTooLarge(f"The image has {width} x {height} pixels; the limit is {max_pixels} in all.")


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
    """A JPEG's frame. It may go over its pixels in many scans, each of which takes a few bytes and much time."""
    at, segments, junk, parsed, scans = 2, 0, 0, 0, 0
    width = height = 0
    whole = False
    while marker := JPEG_MARKER.search(data, at):
        kind, start = marker[1][0], marker.end()
        if not scans:
            junk += marker.start() - at
            _limit(junk, MOST_JUNK, "bytes that belong to nothing")
        if kind in NO_LENGTH:
            if not scans:
                raise InvalidImage(DAMAGED)
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
            height, width = struct.unpack_from(">HH", data, start + 3)
            whole = kind in PROGRESSIVE
        at = start + length
    return Header(format="JPEG", width=width, height=height, whole=whole or scans > 1)


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
    width, height = struct.unpack_from(">II", data, 16)
    return Header(format="PNG", width=width, height=height)


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    return Header(format="WEBP", width=width, height=height)


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return Header(format="BMP", width=width, height=height)
    width, height, _, _, compression = struct.unpack_from("<IiHHI", data, 18)
    height = abs(height)
    if compression in (1, 2) and max(width * height, len(data)) > MOST_RLE:
        raise TooMuchWork(
            f"The BMP has run-length coding and {width} x {height} pixels in {len(data)} bytes; "
            f"the limit is {MOST_RLE} of either, save it as PNG."
        )
    return Header(format="BMP", width=width, height=height)


def _gif(data: bytes) -> Header:
    """A GIF's screen, or its first image where that reaches further, as in Pillow."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at, steps = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while at < len(data):
        steps += 1
        _limit(steps, MOST_METADATA, "blocks before its first frame")
        kind, at = data[at], at + 1
        if kind == 0x2C:
            x, y, wide, high = struct.unpack_from("<HHHH", data, at)
            return Header(format="GIF", width=max(width, x + wide), height=max(height, y + high))
        if kind == 0x3B:
            break
        if kind == 0x21:
            label, at = data[at], at + 1
            if label != 0xFE:  # Pillow goes on behind the first block, and behind a second, even if they are empty
                at += 1 + data[at]
                if label == 0xFF and data.startswith(b"NETSCAPE2.0", at - data[at - 1] - 1):
                    at += 1 + data[at]
            while data[at]:
                at += 1 + data[at]
                steps += 1
                _limit(steps, MOST_BLOCKS, "blocks before its first frame")
            at += 1
    raise InvalidImage(DAMAGED)


def _tiff(data: bytes) -> Header:
    tiff = Tiff(data)
    if tiff.jpeg_streams:
        _check_scans(-(-data.count(b"\xff\xda") // tiff.jpeg_streams), tiff.width, tiff.height)
    return Header(format="TIFF", width=tiff.width, height=tiff.height)


READERS: dict[str, tuple[tuple[bytes, ...], Callable[[bytes], Header]]] = {
    "PNG": ((b"\x89PNG\r\n\x1a\n",), _png),
    "JPEG": ((b"\xff\xd8\xff",), _jpeg),
    "WEBP": ((b"RIFF",), _webp),
    "BMP": ((b"BM",), _bmp),
    "GIF": ((b"GIF87a", b"GIF89a"), _gif),
    "TIFF": ((b"MM\0\x2a", b"II\x2a\0", b"MM\x2a\0", b"II\0\x2a", b"II\x2b\0"), _tiff),
}
