import cv2
import numpy as np
import pytest
from PIL import Image

from service.picture.decode import grey_from_upload
from service.picture.errors import InvalidImage
from tests.conftest import draw, encode

LIMIT = 200_000_000


def grey(data):
    return grey_from_upload(data, LIMIT)[0]


@pytest.fixture
def picture():
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))  # (40, 60)
    return Image.fromarray(ramp)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_lossless_formats_give_the_pixels(picture, kind):
    assert (grey(encode(picture, kind)) == np.asarray(picture)).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "HEIF", "AVIF"])
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
    found = np.int32(grey(encode(square(YELLOW).quantize(), transparency=200)))
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
    found, reduced = grey_from_upload(encode(Image.new(mode, (4000, 3000)), kind), LIMIT)
    assert found.shape == (768, 1024)
    assert reduced == pytest.approx(4000 / 1024)


@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_strange_exif_is_no_reason_to_fail(picture):
    """Pillow's own exif_transpose writes the tags anew, and fails where one has another type than it expects."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Make"
    data = encode(picture, "JPEG", exif=exif.tobytes())
    at, rational = data.index(b"\x01\x0f\x00\x02"), b"\x01\x0f\x00\x05"  # instead of ASCII
    assert grey(data[:at] + rational + data[at + 4 :]).size == 40 * 60


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "HEIF", "AVIF"])
def test_truncated_image_is_refused(kind):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(InvalidImage):
        grey(data[: len(data) // 2])


def test_first_frame_of_an_animation_is_read():
    frames = [Image.new("L", (30, 30), level) for level in (10, 200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (grey(data) == 10).all()


def test_film_behind_a_photograph_is_not_taken_for_its_scans(picture):
    for options in ({}, {"progressive": True}, {"comment": b"\xff\xd9" + 999 * b"\xff\xda"}):
        jpeg = encode(picture, "JPEG", **options)
        assert grey(jpeg + 1_000 * b"\xff\xda\0\2").shape == (40, 60)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_nothing_but_its_end_is_read(options, missing):
    data = encode(Image.fromarray(draw("5")), "JPEG", **options)
    assert (grey(data[:-missing]) == grey(data)).all()


@pytest.mark.parametrize("share", [0.6, 0.99])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_lacks_pixels_is_refused(options, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8).repeat(8, 0).repeat(8, 1)
    data = encode(Image.fromarray(noise), "JPEG", **options)
    with pytest.raises(InvalidImage, match=r"^The upload is a damaged or truncated image\.$"):
        grey(data[: int(len(data) * share)])


def test_a_photograph_of_a_phone_is_decoded_reduced():
    picture = Image.fromarray(draw("5")).resize((5_712, 4_284), Image.Resampling.NEAREST).convert("RGB")
    found, reduced = grey_from_upload(encode(picture, "JPEG", quality=30), LIMIT)
    assert found.shape == (768, 1024) and reduced == pytest.approx(5_712 / 1_024)
    small = cv2.resize(draw("5"), (1_024, 768))
    assert np.abs(np.int16(found) - small).mean() < 5


def test_a_sheet_of_600_dots_an_inch_is_read_from_its_fax():
    page = Image.new("1", (4_960, 7_016), 1)
    page.paste(Image.fromarray(draw("5")).resize((2_000, 2_000)).convert("1"), (1_400, 2_000))
    found, reduced = grey_from_upload(encode(page, "TIFF", compression="group4"), LIMIT)
    assert found.shape == (1_024, 724) and reduced == pytest.approx(7_016 / 1_024)
    assert found.min() == 0 and found.mean() > 240


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_heic_is_upright_and_its_transparency_shows_the_ink(picture, mode):
    """The tag of EXIF says how it was before libheif turned it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right
    found = grey(encode(picture.convert(mode), "HEIF", exif=exif.tobytes(), quality=90))
    assert found.shape == (60, 40)
    assert found[:15].mean() + 50 < found[-15:].mean()


def test_a_large_heic_is_reduced_in_parts():
    page = Image.fromarray(draw("5")).resize((2_100, 1_400)).convert("RGB")
    found, reduced = grey_from_upload(encode(page, "HEIF", quality=50), LIMIT)
    assert found.shape == (683, 1_024) and reduced == pytest.approx(2_100 / 1_024)
    assert np.abs(np.int16(found) - cv2.resize(draw("5"), (1_024, 683))).mean() < 5


@pytest.mark.parametrize("size, long", [((64_000, 100), 8_192), ((100, 64_000), 8_192), ((5_000, 1_000), 1_024)])
def test_long_pictures_are_reduced_in_parts_and_keep_their_pixels(size, long):
    picture = Image.new("RGBA", size, (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, size[0] // 2 + 1, size[1] // 2 + 1))
    found = grey(encode(picture))
    assert found[0, 0] < 100 and found[-1, -1] == 255
    assert max(found.shape) == pytest.approx(long, rel=0.02)  # reduced by a whole number first
