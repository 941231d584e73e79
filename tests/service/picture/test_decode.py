import struct
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from service.picture.decode import FORMATS, grey_from_upload
from service.picture.errors import ImageTooLarge, InvalidImage, TooMuchWork

LIMIT = 16_000_000


def encode(image, kind="PNG", **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey(data):
    return grey_from_upload(data, LIMIT, FORMATS)[0]


@pytest.fixture
def picture():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))  # (40, 60)
    return Image.fromarray(ramp)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_lossless_formats_give_the_pixels(picture, kind):
    assert (grey(encode(picture, kind)) == np.asarray(picture)).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_give_about_the_pixels(picture, kind):
    assert np.abs(np.int16(grey(encode(picture, kind))) - np.asarray(picture)).max() < 30


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "LAB", "I;16", "I", "F"])
def test_every_mode_keeps_dark_left_and_light_right(picture, mode):
    found = grey(encode((picture.convert("RGB") if mode == "LAB" else picture).convert(mode), "TIFF"))
    assert found.dtype == np.uint8
    assert found[:, :15].mean() + 50 < found[:, -15:].mean()


def test_floats_of_any_size_keep_their_order(picture):
    values = (np.asarray(picture, np.float32) / 120 - 1) * 3e38
    found = grey(encode(Image.fromarray(values), "TIFF"))
    assert (found[:, 0].max(), found[:, -1].min()) == (0, 255)


def test_image_is_turned_by_its_exif_tag(picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    found = grey(encode(picture, "JPEG", exif=exif.tobytes()))
    assert found.shape == (60, 40)
    assert found[0].mean() < found[-1].mean()


@pytest.mark.parametrize("ink, background", [(0, 255), (255, 0)])
def test_transparency_is_laid_over_what_shows_the_ink(ink, background):
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[..., :3] = ink
    pixels[5:15, 5:15, 3] = 255
    found = grey(encode(Image.fromarray(pixels)))
    assert (found[0, 0], found[10, 10]) == (background, ink)


PAPER, YELLOW, DARK = (190, 190, 190), (235, 195, 30), (30, 35, 90)


def square(ink, paper=PAPER):
    pixels = np.full((60, 80, 3), paper, np.uint8)
    pixels[20:40, 30:50] = ink
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    "ink, paper", [(YELLOW, PAPER), ((255, 120, 180), PAPER), ((200, 90, 90), (90, 150, 90)), (PAPER, YELLOW)]
)
@pytest.mark.parametrize("kind, mode", [("PNG", "RGB"), ("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P")])
def test_ink_as_light_as_its_paper_shows_by_its_colour(ink, paper, kind, mode):
    picture = square(ink, paper)
    pale = np.asarray(picture.convert("L"), np.int32)
    found = np.int32(grey(encode(picture.quantize() if mode == "P" else picture.convert(mode), kind)))
    assert found.shape == (60, 80)
    contrast = abs(np.median(found[25:35, 35:45]) - np.median(found[:15]))
    assert contrast > 45 and contrast > 1.3 * abs(pale[30, 40] - pale[0, 0])


@pytest.mark.parametrize("ink", [DARK, (150, 150, 150)])
@pytest.mark.parametrize("where", [slice(2, 14), slice(16, 44)])
def test_a_coloured_thing_beside_ink_or_under_it_hides_none(ink, where):
    pixels = np.full((60, 80, 3), PAPER, np.uint8)
    pixels[where, 5:75] = (255, 160, 190)  # a pink eraser, the mark of a highlighter
    pixels[20:40, 38:41] = ink
    found = np.int32(grey(encode(Image.fromarray(pixels))))
    light = np.int32(grey(encode(Image.fromarray(pixels).convert("L"))))
    assert abs(found[30, 39] - found[30, 30]) >= abs(light[30, 39] - light[30, 30]) - 1


def test_a_palette_that_could_be_transparent_and_is_not_has_colours():
    picture = square(YELLOW).quantize()
    file = BytesIO()
    picture.save(file, "PNG", transparency=200)
    found = np.int32(grey(file.getvalue()))
    assert abs(found[30, 40] - found[0, 0]) > 45


@pytest.mark.parametrize("ink", [DARK, (35, 35, 170), (35, 35, 35)])
def test_ink_that_is_darker_than_its_paper_shows_by_its_lightness(ink):
    picture = square(ink)
    picture.putpixel((0, 0), YELLOW)
    assert np.array_equal(grey(encode(picture)), np.asarray(picture.convert("L")))


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (3, 2)])
def test_tiny_pictures_have_colours_too(size):
    picture = Image.new("RGB", size, YELLOW)
    picture.putpixel((0, 0), PAPER)
    assert grey(encode(picture)).shape == size[::-1]


@pytest.mark.parametrize(
    "kind, mode", [("JPEG", "L"), ("PNG", "L"), ("PNG", "RGBA"), ("PNG", "I;16"), ("TIFF", "I"), ("TIFF", "F")]
)
def test_large_image_is_averaged_and_says_how_much(kind, mode):
    found, reduced = grey_from_upload(encode(Image.new(mode, (4000, 3000)), kind), LIMIT, FORMATS)
    assert found.shape == (768, 1024)
    assert reduced == pytest.approx(4000 / 1024)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_strange_exif_is_no_reason_to_fail(picture):
    """Pillow's own exif_transpose writes the tags anew, and fails where one has another type than it expects."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(encode(picture, "JPEG", exif=exif.tobytes()))
    exif[0x010F] = "Make"
    data = encode(picture, "JPEG", exif=exif.tobytes())
    at = data.index(b"\x01\x0f\x00\x02") if b"\x01\x0f\x00\x02" in data else data.index(b"\x0f\x01\x02\x00")
    kind = b"\x01\x0f\x00\x05" if data[at] == 1 else b"\x0f\x01\x05\x00"  # RATIONAL instead of ASCII
    assert grey(data[:at] + kind + data[at + 4 :]).size == 40 * 60


def test_tile_larger_than_the_limit_is_refused_before_decoding():
    entries = [(256, 4, 100), (257, 4, 100), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, 32768), (323, 4, 32768), (324, 4, 8), (325, 4, 8)]
    tags = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    data = b"II*\x00" + struct.pack("<IH", 8, len(entries)) + tags + bytes(4)
    with pytest.raises(ImageTooLarge, match="has 32768 x 32768 pixels; the limit is 16000000 in all."):
        grey(data)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "The upload is empty; send the bytes of a PNG, JPEG, WebP, BMP, GIF or TIFF."),
        (b"just text", "The upload is not a PNG, JPEG, WebP, BMP, GIF or TIFF image."),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "The upload is not a PNG, JPEG, WebP, BMP, GIF or TIFF image."),
    ],
)
def test_what_is_no_image_is_refused(data, message):
    with pytest.raises(InvalidImage) as error:
        grey(data)
    assert str(error.value) == message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_truncated_image_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImage):
        grey(data[: len(data) // 2])


def test_too_many_pixels_are_refused_before_decoding():
    data = encode(Image.new("1", (20_000, 20_000)))
    with pytest.raises(ImageTooLarge) as error:
        grey(data)
    assert str(error.value) == "The image has 20000 x 20000 pixels; the limit is 16000000 in all."


def test_first_frame_of_an_animation_is_read():
    frames = [Image.new("L", (30, 30), level) for level in (10, 200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (grey(data) == 10).all()


def test_only_the_formats_that_are_allowed_are_tried(picture):
    assert grey_from_upload(encode(picture, "PNG"), LIMIT, ("PNG", "JPEG"))[0].shape == (40, 60)
    for kind in ("GIF", "TIFF", "BMP", "WEBP"):
        with pytest.raises(InvalidImage, match=r"^The upload is not a PNG or JPEG image\.$"):
            grey_from_upload(encode(picture, kind), LIMIT, ("PNG", "JPEG"))


def test_jpeg_of_countless_scans_is_refused_before_it_is_decoded():
    """Each is 30 bytes and goes over all 16 million pixels: 10 MB of them took a thread for half an hour."""
    jpeg = encode(Image.new("L", (4_000, 4_000)), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert grey(jpeg[:-2] + 19 * last + jpeg[-2:]).shape == (1024, 1024)
    with pytest.raises(TooMuchWork, match=r"^The image has 26 scans of 4000 x 4000 pixels; save it as an ordinary JPE"):
        grey(jpeg[:-2] + 300_000 * last + jpeg[-2:])
    small = encode(Image.new("L", (9, 9)), "JPEG", progressive=True)
    with pytest.raises(TooMuchWork, match=r"^The image has more than 100 scans; save it as an ordinary JPEG\.$"):
        grey(small[:-2] + 100 * last + small[-2:])


def test_film_behind_a_photograph_is_not_taken_for_its_scans(picture):
    for options in ({}, {"progressive": True}, {"comment": b"\xff\xd9" + 999 * b"\xff\xda"}):
        jpeg = encode(picture, "JPEG", **options)
        assert grey(jpeg + 1_000 * b"\xff\xda\0\2").shape == (40, 60)


@pytest.mark.parametrize(
    "side, kind, options, together",
    [
        (2_100, "PNG", {}, 1),
        (900, "PNG", {}, 4),
        (2_100, "JPEG", {}, 4),  # most of it is never decoded
        (2_100, "JPEG", {"progressive": True}, 1),  # but all of it is kept
    ],
)
def test_large_pictures_are_decoded_one_at_a_time(monkeypatch, side, kind, options, together):
    inside, most = [], []

    def slowly(image):
        inside.append(image)
        most.append(len(inside))
        time.sleep(0.1)
        inside.pop()
        return np.zeros((1, 1), np.uint8)

    monkeypatch.setattr("service.picture.decode._grey", slowly)
    data = encode(Image.new("L", (side, side)), kind, **options)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: grey_from_upload(data, 16_000_000, FORMATS), range(4)))
    assert max(most) == together
