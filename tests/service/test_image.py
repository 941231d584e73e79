import cv2
import numpy as np
import pytest

from service.image import SIZE, canonicalise, is_framed
from service.upload import InvalidImage
from tests.conftest import draw


def likeness(a, b):
    """Largest cosine of two images over shifts by a pixel (a mass half way between two may fall to either)."""
    a = a.astype(float)
    shifted = [np.roll(b, (y, x), (0, 1)).astype(float) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max((a * other).sum() / np.sqrt((a * a).sum() * (other * other).sum()) for other in shifted)


@pytest.fixture
def seven():
    return draw("7")


def test_result_has_the_framing_of_mnist(seven):
    image = canonicalise(seven).image
    assert image.shape == (SIZE, SIZE) and image.dtype == np.uint8
    assert is_framed(image)


def test_framed_image_passes_unchanged(seven):
    framed = canonicalise(seven).image
    assert canonicalise(framed).image is framed


def test_inverted_picture_gives_the_same(seven):
    assert likeness(canonicalise(seven).image, canonicalise(255 - seven).image) > 0.99


def test_place_and_size_do_not_matter(seven):
    large = np.full((900, 1200), 255, np.uint8)
    large[600:800, 100:300] = seven
    assert likeness(canonicalise(seven).image, canonicalise(large).image) > 0.97


def test_slanted_light_and_a_shadow_do_not_matter(seven):
    light = np.linspace(0.45, 1.0, 200)[None, :] * np.ones((200, 1))
    light[:, 150:] *= 0.7  # a shadow with an edge
    grain = np.random.default_rng(0).normal(0, 3, (200, 200))
    lit = np.uint8((seven * light + grain).clip(0, 255))
    assert likeness(canonicalise(seven).image, canonicalise(lit).image) > 0.95


def test_faint_pencil_is_read(seven):
    faint = np.uint8(200 - (255 - seven.astype(int)) * 0.12)
    assert likeness(canonicalise(seven).image, canonicalise(faint).image) > 0.97


def test_thin_pen_is_drawn_thicker():
    thin = canonicalise(draw("1", (400, 400), 10, 2)).image
    stroke = (thin > 100).sum(1).max()
    assert stroke >= 2


def test_specks_and_a_neighbour_at_the_edge_are_left_out(seven):
    dirty = seven.copy()
    dirty[:60, -6:] = 0  # a piece of something else
    for y, x in ((10, 10), (190, 20), (180, 185)):
        cv2.circle(dirty, (x, y), 2, 0, -1)
    assert likeness(canonicalise(seven).image, canonicalise(dirty).image) > 0.97


def test_detached_stroke_of_a_digit_is_kept():
    five = np.full((200, 200), 255, np.uint8)
    cv2.line(five, (80, 40), (140, 40), 0, 10)  # the bar, not touching
    cv2.ellipse(five, (90, 120), (45, 45), 0, -90, 150, 0, 10)
    image = canonicalise(five).image
    assert (image[4:9] > 100).any(1).sum() >= 2


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (300, 200), (1, 500)])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_image_is_refused(shape, level):
    with pytest.raises(InvalidImage, match="blank"):
        canonicalise(np.full(shape, level, np.uint8))


@pytest.mark.parametrize("shape", [(2, 500), (500, 2), (3, 3), (1, 2), (1300, 7)])
def test_slivers_and_crumbs_are_framed_or_refused(shape):
    """A sliver once shrank to nothing on its way to 20 pixels."""
    picture = np.full(shape, 255, np.uint8)
    picture[shape[0] // 2, shape[1] // 3 :] = 0
    try:
        image = canonicalise(picture).image
    except InvalidImage:
        return
    assert image.shape == (SIZE, SIZE) and image.max() > 0


def test_box_is_mapped_back_to_the_picture():
    picture = np.full((300, 500), 255, np.uint8)
    picture[100:180, 350:400] = 0
    canonical = canonicalise(picture)
    ys, xs = np.nonzero(canonical.image > 127)
    box = canonical.to_picture((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    assert np.abs(np.array(box) - (350, 100, 400, 180)).max() < 5
    assert canonical.to_picture((-99, -99, 999, 999)) == [0, 0, 500, 300]


def test_every_mnist_image_passes_unchanged(mnist_root):
    from training import data

    for split in ("validation", "test"):
        images, _ = data.load(split, mnist_root)
        assert all(is_framed(image) for image in images[:, 0].numpy())
