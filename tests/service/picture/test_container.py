"""What an upload is, and what a plain picture may cost, is known before a decoder sees it."""

import struct
import zlib

import pytest
from PIL import Image

from service.picture.container import FORMATS, MOST_BLOCKS, MOST_METADATA, inspect, kind_of
from service.picture.decode import grey_from_upload
from service.picture.errors import ImageTooLarge, InvalidImage, TooMuchWork
from tests.conftest import encode
from tests.hostile.bombs import png

LIMIT = 200_000_000
READ = "PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF"
PNG_HEADER = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
PNG_PIXELS = b"IDAT", zlib.compress(bytes(65 * 64))
JPEG = encode(Image.new("L", (64, 64)), "JPEG")


@pytest.fixture
def no_decoder(monkeypatch):
    """Fail where any decoder gets the file, here or in a process of its own."""

    def opened(*_arguments, **_keywords):
        raise AssertionError("a decoder has seen the file")

    monkeypatch.setattr(Image, "open", opened)
    monkeypatch.setattr("service.picture.isolation.Decoder.load", opened)


def look(data):
    return grey_from_upload(data, LIMIT)


@pytest.mark.parametrize(
    "data, what",
    [
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF; send a picture of the page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file; send a picture of the page"),
        (b"<!DOCTYPE html><html><svg></svg>", "an HTML page; send a picture"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x">', "an SVG drawing; send a picture"),
        (b"<svg viewBox='0 0 9 9'/>", "an SVG drawing; send a picture"),
        (b"8BPS\0\1" + bytes(20), "a Photoshop file; send a picture"),
        (b"\0\0\1\0\1\0" + bytes(20), "an icon; send a picture"),
        (b"II*\0\x10\0\0\0CR\2\0", "a raw photograph of a camera; send a picture"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "a raw photograph of a camera; send a picture"),
        (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "a film; send one of its pictures"),
        (b"RIFF\0\0\0\0AVI LIST", "a film; send one of its pictures"),
        (b"PK\3\4\x14\0\6\0word/document.xml", "a ZIP archive or an Office document; send its pictures one by one"),
        (b"\x1f\x8b\x08\0" + bytes(9), "an archive; send its pictures one by one"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image; send a picture"),
        (b"\xff\x0a\xfa\xff", "a JPEG XL image; send a picture"),
        (b"P5\n28 28\n255\n" + bytes(784), "a Netpbm image; send a picture"),
        (b"\x93NUMPY\1\0v\0", "a NumPy array; send a picture"),
        (b"data:image/png;base64,iVBORw0KGgo=", "an image as text in base64; send the bytes that it stands for"),
        (b"iVBORw0KGgo=" * 9, "an image as text in base64; send the bytes that it stands for"),
        (b"just text", "text; send a picture"),
        ("Grüße, 12".encode(), "text; send a picture"),
    ],
)
def test_what_is_not_read_is_named(data, what, no_decoder):
    with pytest.raises(InvalidImage) as error:
        look(data)
    assert str(error.value) == f"This is {what}, as {READ}."


def test_what_is_not_known_has_no_name(no_decoder):
    with pytest.raises(InvalidImage, match=f"^The upload is not a {READ} image\\.$"):
        look(bytes(500))


@pytest.mark.parametrize("kind, named", [("GIF", "GIF"), ("WEBP", "WebP"), ("AVIF", "AVIF"), ("HEIF", "HEIC")])
def test_a_format_that_is_switched_off_is_named(kind, named, no_decoder):
    with pytest.raises(InvalidImage) as error:
        grey_from_upload(encode(Image.new("RGB", (64, 64)), kind), LIMIT, ("PNG", "JPEG"))
    assert str(error.value) == f"This is a {named}; send a picture, as PNG or JPEG."


def test_a_webp_of_a_large_canvas_is_refused_before_it_is_made(no_decoder):
    size = (16_383).to_bytes(3, "little")
    with pytest.raises(ImageTooLarge, match="16384 x 16384 pixels"):
        look(b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + size + size)


def claiming(data, at, *size):
    """A file whose header says at this place that it has this size."""
    return data[:at] + struct.pack(">HH" if data.startswith(b"\xff") else "<HH", *size) + data[at + 4 :]


WEBP, PROGRESSIVE = (encode(Image.new("RGB", (64, 64)), kind, progressive=True) for kind in ("WEBP", "JPEG"))
FRAME = PROGRESSIVE.index(b"\xff\xc2") + 5


@pytest.mark.parametrize(
    "data, says",
    [
        (png(struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0), [PNG_PIXELS]), "20000 x 20000 {}is 200000000"),
        (
            png(struct.pack(">IIBBBBB", 8_100, 8_000, 8, 2, 0, 0, 0), [PNG_PIXELS]),
            "8100 x 8000 {}for a PNG is 64000000",
        ),
        (claiming(WEBP, 26, 4_100, 4_000), "4100 x 4000 {}for a WebP is 16000000"),  # one of 16 million took 260 MB
        (claiming(PROGRESSIVE, FRAME, 9_300, 9_200), "9200 x 9300 {}for a progressive JPEG is 85333333"),
    ],
    ids=["PNG", "coloured PNG", "WebP", "progressive JPEG"],
)
def test_more_pixels_than_fit_into_memory_are_refused(data, says, no_decoder):
    with pytest.raises(ImageTooLarge) as error:
        look(data)
    assert str(error.value) == f"The image has {says.format('pixels; the limit ')} in all."


@pytest.mark.parametrize(
    "data",
    [
        JPEG[:2] + 200_000 * b"\xff\xe1\0\2" + JPEG[2:],
        JPEG[:20] + 20_000 * b"\0" + JPEG[2:],
        JPEG[:2] + 20 * (b"\xff\xed\xff\xff" + 65_533 * b"8") + JPEG[2:],
        JPEG[:2] + 20 * (b"\xff\xdb\xff\xff" + 65_533 * b"\0") + JPEG[2:],
        JPEG[:2] + b"\xff\xd8" + 20_000 * b"\xff\xe1\0\2" + JPEG[2:],  # a start within, which has no length
        png(PNG_HEADER, [(b"iCCP", b"a\0\0")] * 3_000 + [PNG_PIXELS]),
        png(PNG_HEADER, [PNG_PIXELS] + [(b"gAMA", bytes(4))] * 2_000),
        png(PNG_HEADER, [(b"IDAT", b"")] * (MOST_BLOCKS + 1)),
    ],
)
def test_more_metadata_than_a_picture_needs_is_refused(data, no_decoder):
    with pytest.raises(InvalidImage, match="^The image has more than|damaged"):
        look(data)


def test_a_jpeg_of_countless_scans_is_refused_before_it_is_decoded(no_decoder):
    """Each is 30 bytes and goes over all 16 million pixels: 10 MB of them took a thread for half an hour."""
    jpeg = encode(Image.new("L", (4_000, 4_000)), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(TooMuchWork) as error:
        look(jpeg[:-2] + 300_000 * last + jpeg[-2:])
    assert str(error.value) == "The image has 63 scans of 4000 x 4000 pixels; save it as an ordinary JPEG."
    small = encode(Image.new("L", (9, 9)), "JPEG", progressive=True)
    last = small[small.rindex(b"\xff\xda") : -2]
    with pytest.raises(TooMuchWork) as error:
        look(small[:-2] + 100 * last + small[-2:])
    assert str(error.value) == "The image has more than 100 scans; save it as an ordinary JPEG."


@pytest.mark.parametrize("says", [b"\0", b"\1\1\x01\0", b"\1\1\x10\0"])
def test_a_jpeg_whose_components_have_no_samples_is_damaged(says, no_decoder):
    """What a decoder would hold of a pixel is computed from them: of none that was a division by zero."""
    jpeg = encode(Image.new("L", (9, 9)), "JPEG", progressive=True)
    at = jpeg.index(b"\xff\xc2") + 9
    with pytest.raises(InvalidImage, match="damaged"):
        look(jpeg[:at] + says + jpeg[at + len(says) :])


@pytest.mark.parametrize(
    "image, kind, options, is_plain",
    [
        (Image.new("RGB", (2_000, 2_000)), "PNG", {}, True),
        (Image.new("RGB", (2_100, 2_000)), "PNG", {}, False),
        (Image.new("L", (4_000, 4_000)), "PNG", {}, True),
        (Image.new("RGB", (8_000, 8_000)), "JPEG", {}, True),  # most of its pixels are never made
        (Image.new("RGB", (8_100, 8_000)), "JPEG", {}, False),
        (Image.new("RGB", (1_600, 1_600)), "JPEG", {"progressive": True}, True),
        (Image.new("RGB", (2_400, 2_400)), "JPEG", {"progressive": True}, False),  # but the coefficients of all are
        (Image.new("RGB", (1_000, 1_000)), "WEBP", {}, True),
        (Image.new("RGB", (1_100, 1_000)), "WEBP", {}, False),
    ],
)
def test_only_small_and_plain_pictures_are_decoded_in_this_process(image, kind, options, is_plain):
    header = inspect(encode(image, kind, **options), kind, LIMIT)
    assert (header.width, header.height, header.is_plain) == (*image.size, is_plain)


def test_a_jpeg_without_an_end_is_not_plain():
    assert inspect(JPEG, "JPEG", LIMIT).is_plain and not inspect(JPEG[:-2], "JPEG", LIMIT).is_plain


@pytest.mark.parametrize("kind", FORMATS)
def test_ordinary_files_are_known_by_their_bytes(kind):
    data = encode(Image.new("RGB", (64, 64), (9, 99, 200)), "HEIF" if kind == "HEIC" else kind)
    assert kind_of(data, FORMATS) == kind
    assert look(data)[0].shape == (64, 64)


def test_as_much_metadata_as_is_allowed_is_decoded():
    for data in (
        JPEG[:2] + (MOST_METADATA - 20) * b"\xff\xe1\0\2" + JPEG[2:],
        png(PNG_HEADER, [(b"gAMA", bytes(4))] * 900 + [PNG_PIXELS]),
    ):
        assert look(data)[0].shape == (64, 64)
