"""What a file may cost is known before a decoder sees it: each case once took gigabytes or many seconds."""

import os
import struct
import tempfile
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.bombs import png, tiff
from service.picture.container import MOST_BLOCKS, MOST_METADATA, inspect
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.errors import ImageTooLarge, InvalidImage, TooMuchWork
from tests.service.picture.test_decode import encode

LIMIT = 16_000_000
GIF_SCREEN = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0)
GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x08\0;"
PNG_HEADER = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
PNG_PIXELS = b"IDAT", zlib.compress(bytes(65 * 64))
JPEG = encode(Image.new("L", (64, 64)), "JPEG")
TAGS = {256: (4, [64]), 257: (4, [64]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
STRIPS = TAGS | {273: (4, [8]), 278: (4, [64]), 279: (4, [4_096])}


@pytest.fixture(autouse=True)
def no_decoder(request, monkeypatch):
    """Fail where Pillow is asked to open a file, in tests that are not marked otherwise."""

    def opened(*_arguments, **_keywords):
        raise AssertionError("a decoder has seen the file")

    if "decoded" not in request.node.name:
        monkeypatch.setattr(Image, "open", opened)


def look(data):
    return grey_from_upload(data, LIMIT, FORMATS)


@pytest.mark.parametrize("side", [40_000, 65_535])
def test_a_gif_of_43_bytes_is_refused_before_its_screen_is_made(side):
    """With disposal method 2, Pillow allocated 4.1 GB as soon as the file was opened."""
    frame = b"!\xf9\4\x08\0\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\0;"
    with pytest.raises(ImageTooLarge, match=f"{side} x {side} pixels; the limit is 16000000 in all"):
        look(b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame)


def test_a_webp_of_a_large_canvas_is_refused_before_it_is_made():
    size = (16_383).to_bytes(3, "little")
    with pytest.raises(ImageTooLarge, match="16384 x 16384 pixels"):
        look(b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + size + size)


def test_a_webp_may_have_fewer_pixels_for_it_takes_more_memory():
    """One of 16 million pixels took 332 MB."""
    with pytest.raises(ImageTooLarge, match="4000 x 3500 pixels; the limit is 13600000 in all"):
        look(encode(Image.new("RGB", (4_000, 3_500)), "WEBP"))


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + 200_000 * b"\xff\xe1\0\2" + JPEG[2:],
        JPEG[:20] + 20_000 * b"\0" + JPEG[2:],
        JPEG[:2] + 20_000 * b"\xff" + JPEG[2:],
        JPEG[:2] + 20_000 * b"\xff\xd0" + JPEG[2:],
        JPEG[:2] + 20 * (b"\xff\xed\xff\xff" + 65_533 * b"8") + JPEG[2:],
        JPEG[:2] + 20 * (b"\xff\xdb\xff\xff" + 65_533 * b"\0") + JPEG[2:],
        JPEG[:2] + b"\xff\xd8" + 20_000 * b"\xff\xe1\0\2" + JPEG[2:],  # a start within, which has no length
        png(PNG_HEADER, [(b"iCCP", b"a\0\0")] * 3_000 + [PNG_PIXELS]),
        png(PNG_HEADER, [PNG_PIXELS] + [(b"gAMA", bytes(4))] * 2_000),
        png(PNG_HEADER, [(b"prVt", b"")] * 2_000 + [PNG_PIXELS]),
        png(PNG_HEADER, [(b"IDAT", b"")] * (MOST_BLOCKS + 1)),
        GIF_SCREEN + b"!\xfe" + 30_000 * b"\1a" + b"\0" + GIF_FRAME,
        GIF_SCREEN + 2_000 * b"!\xfe\1a\0" + GIF_FRAME,
        GIF_SCREEN + 2_000 * b"\0" + GIF_FRAME,
        GIF_SCREEN + b"!\xf9\0" + 30_000 * b"\1a" + b"\0" + GIF_FRAME,  # Pillow goes on behind an empty first block
        tiff(STRIPS | {273: (4, [8] * 1_200_000)}),
        tiff(STRIPS | {258: (3, [8] * 100_000)}),
        tiff(STRIPS | {282: (5, [1, 1] * 100_000)}),
        tiff(STRIPS | {tag: (3, [1]) for tag in range(1_000, 3_000)}),
        tiff(TAGS | {273: (4, [8] * 64), 278: (4, [1]), 279: (4, [4_096] * 64)}),  # each strip all of the file
        tiff(TAGS | {273: (4, [8] * 100), 278: (4, [63]), 279: (4, [40] * 100)}, bytes(4_096)),
    ],
)
def test_more_metadata_than_a_picture_needs_is_refused(data):
    with pytest.raises(InvalidImage, match="^The (image|strips or tiles of the image) ha|damaged"):
        look(data)


@pytest.mark.parametrize("height", [1_200, -1_200])
def test_a_large_bmp_of_runs_is_refused(height):
    """Pillow decodes them in Python: 10 MB took 5.5 s."""
    info = struct.pack("<IiiHHIIiiII", 40, 1_000, height, 1, 8, 1, 0, 0, 0, 256, 0)
    with pytest.raises(TooMuchWork, match="run-length coding and 1000 x 1200 pixels"):
        look(b"BM" + struct.pack("<IHHI", 0, 0, 0, 1_078) + info + bytes(1_024))


def test_tiles_that_reach_beyond_the_picture_count_as_a_whole():
    """They are decoded whole: a column of 16 million pixels in tiles 4,000 wide would be 64 thousand million."""
    tiles = {322: (4, [4_000]), 323: (4, [16]), 324: (4, [8]), 325: (4, [8])}
    with pytest.raises(ImageTooLarge, match="4000 x 1000000 pixels"):
        look(tiff(TAGS | {256: (4, [1]), 257: (4, [1_000_000])} | tiles))


@pytest.mark.parametrize("kind", FORMATS)
def test_ordinary_files_are_decoded(kind):
    header = inspect(encode(Image.new("RGB", (40, 30), (9, 99, 200)), kind), FORMATS, LIMIT)
    assert header is not None and (header.format, header.width, header.height) == (kind, 40, 30)


def test_as_much_metadata_as_is_allowed_is_decoded():
    for data in (
        JPEG[:2] + (MOST_METADATA - 20) * b"\xff\xe1\0\2" + JPEG[2:],
        png(PNG_HEADER, [(b"gAMA", bytes(4))] * 900 + [PNG_PIXELS]),
        tiff(STRIPS | {tag: (3, [1]) for tag in range(1_000, 1_500)}, bytes(4_096)),
        tiff(TAGS | {273: (4, [8 + 64 * row for row in range(64)]), 278: (4, [1]), 279: (4, [64] * 64)}, bytes(4_096)),
    ):
        assert look(data)[0].shape == (64, 64)


def test_libtiff_prints_nothing_when_a_fax_with_bad_rows_is_decoded():
    """It printed a line for each to file descriptor 2: 115 MB for 10 MB."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 2, (300, 300), np.uint8) * 255).convert("1")
    data = bytearray(encode(noise, "TIFF", compression="group3"))
    data[200:-300] = np.random.default_rng(1).integers(0, 256, len(data) - 500, np.uint8).tobytes()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            look(bytes(data))
        except InvalidImage:
            pass
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        assert log.seek(0, os.SEEK_END) == 0
