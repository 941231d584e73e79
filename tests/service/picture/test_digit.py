from contextlib import suppress

import cv2
import numpy as np
import pytest

from service.picture.digit import canonicalise
from service.picture.errors import InvalidImage
from service.picture.framing import SIZE, is_framed
from tests.conftest import draw
from training.data import mnist


def likeness(a, b):
    """Largest cosine of two images over shifts by a pixel (a mass half way between two may fall to either)."""
    a = a.astype(float)
    shifted = [np.roll(b, (y, x), (0, 1)).astype(float) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max((a * other).sum() / np.sqrt((a * a).sum() * (other * other).sum()) for other in shifted)


@pytest.fixture
def seven():
    return draw("7")


def test_result_has_the_framing_of_mnist(seven, finder):
    image = canonicalise(seven, finder).image
    assert image.shape == (SIZE, SIZE) and image.dtype == np.uint8
    assert is_framed(image)


def test_framed_image_passes_unchanged(seven, finder):
    framed = canonicalise(seven, finder).image
    assert canonicalise(framed, finder).image is framed


def elsewhere(seven):
    large = np.full((900, 1200), 255, np.uint8)
    large[600:800, 100:300] = seven
    return large


def shaded(seven):
    light = np.linspace(0.45, 1.0, 200)[None, :] * np.ones((200, 1))
    light[:, 150:] *= 0.7  # a shadow with an edge
    grain = np.random.default_rng(0).normal(0, 3, (200, 200))
    return np.uint8((seven * light + grain).clip(0, 255))


def small_in_uneven_light(seven):
    page = np.full((480, 640), 255, np.uint8)
    page[300:400, 60:160] = cv2.resize(seven, (100, 100), interpolation=cv2.INTER_AREA)
    return np.uint8(page * np.linspace(0.4, 1.0, 640)[None, :] * np.linspace(1.0, 0.6, 480)[:, None])


def ruled(seven, squared=False, grey=60):
    page = np.full((400, 500), 255, np.uint8)
    for place in range(11, 500, 24):
        cv2.line(page, (0, place), (499, place + 12), grey, 1, cv2.LINE_AA)
        if squared:
            cv2.line(page, (place + 12, 0), (place, 399), grey, 1, cv2.LINE_AA)
    page[100:300, 150:350] = np.minimum(page[100:300, 150:350], seven)
    return page


def squared(seven):
    return ruled(seven, True, 150)


def faint(seven):
    return np.uint8(200 - (255 - seven.astype(int)) * 0.12)


def specks_and_a_neighbour(seven):
    dirty = seven.copy()
    dirty[:60, -6:] = 0  # a piece of something else
    for y, x in ((10, 10), (190, 20), (180, 185)):
        cv2.circle(dirty, (x, y), 2, 0, -1)
    return dirty


def tiny_as_a_page_reader_finds_it(seven):
    """Bug: it was smaller than dirt may be, so the page was said to be blank."""
    page = np.full((2_000, 2_000), 255, np.uint8)
    page[300:380, 1_500:1_580] = cv2.resize(seven, (80, 80), interpolation=cv2.INTER_AREA)
    return cv2.resize(page, (1_024, 1_024), interpolation=cv2.INTER_AREA)  # as it is decoded


@pytest.mark.parametrize(
    "changed, least",
    [
        (np.invert, 0.99),
        (elsewhere, 0.94),
        (shaded, 0.95),
        (small_in_uneven_light, 0.9),
        (ruled, 0.95),
        (squared, 0.95),
        (faint, 0.97),
        (specks_and_a_neighbour, 0.97),
        (tiny_as_a_page_reader_finds_it, 0.95),
    ],
)
def test_digit_is_the_same_however_it_stands_on_its_paper(seven, finder, changed, least):
    assert likeness(canonicalise(seven, finder).image, canonicalise(changed(seven), finder).image) > least


def test_tiny_picture_keeps_its_grey_levels(finder):
    """Eight pixels a side, as in scikit-learn's digits."""
    seven = np.zeros((8, 8), np.uint8)
    seven[0, 2:7], seven[1:4, 5], seven[4:8, 4] = 250, 200, 120
    image = canonicalise(seven, finder).image
    assert is_framed(image)
    assert likeness(canonicalise(255 - seven, finder).image, image) > 0.97
    levels = image[image.any(1)].max(1).astype(int)
    assert levels[0] - levels[-1] > 60


@pytest.mark.parametrize("level", [255, 0])
def test_stripes_over_half_of_a_digit_do_not_turn_it_dark(seven, finder, level):
    """MNIST-C's stripe. Bug: it was inverted, and 1.7 % of the digits were lost."""
    image = canonicalise(seven, finder).image.copy()
    image[:, :7], image[:, 21:] = 255 - image[:, :7], 255 - image[:, 21:]
    image[14, 3] = level  # whatever is in it
    assert (canonicalise(image, finder).image == image).all()


@pytest.mark.parametrize("spoil", ["fog", "line"])
def test_spoilt_picture_in_the_framing_of_mnist_is_not_framed_again(seven, spoil, finder):
    """It once was cropped to the dirt, and the digit shrank."""
    image = canonicalise(seven, finder).image.copy()
    if spoil == "fog":
        image = np.maximum(image, np.uint8(np.linspace(20, 150, 28))[:, None])
    else:
        cv2.line(image, (0, 20), (27, 9), 255, 1)
    assert (canonicalise(image, finder).image == image).all()
    assert (canonicalise(255 - image, finder).image == image).all()


def test_small_digit_in_28x28_is_enlarged(seven, finder):
    image = np.zeros((28, 28), np.uint8)
    image[2:16, 12:26] = cv2.resize(canonicalise(seven, finder).image, (14, 14), interpolation=cv2.INTER_AREA)
    assert likeness(canonicalise(seven, finder).image, canonicalise(image, finder).image) > 0.9


def test_thin_pen_is_drawn_thicker(finder):
    thin = canonicalise(draw("1", (400, 400), 10, 2), finder).image
    stroke = (thin > 100).sum(1).max()
    assert stroke >= 2


def test_detached_stroke_of_a_digit_is_kept(finder):
    five = np.full((200, 200), 255, np.uint8)
    cv2.line(five, (80, 40), (140, 40), 0, 10)  # the bar, not touching
    cv2.ellipse(five, (90, 120), (45, 45), 0, -90, 150, 0, 10)
    image = canonicalise(five, finder).image
    assert (image[4:9] > 100).any(1).sum() >= 2


@pytest.mark.parametrize("shape, level", [((1, 1), 255), ((28, 28), 0), ((300, 200), 128), ((1, 500), 255)])
def test_blank_image_is_refused(shape, level, finder):
    with pytest.raises(InvalidImage, match="blank"):
        canonicalise(np.full(shape, level, np.uint8), finder)


@pytest.mark.parametrize("shape", [(2, 500), (500, 2), (3, 3), (1, 2), (1300, 7)])
def test_slivers_and_crumbs_are_framed_or_refused(shape, finder):
    """A sliver once shrank to nothing on its way to 20 pixels."""
    picture = np.full(shape, 255, np.uint8)
    picture[shape[0] // 2, shape[1] // 3 :] = 0
    try:
        image = canonicalise(picture, finder).image
    except InvalidImage:
        return
    assert image.shape == (SIZE, SIZE) and image.max() > 0


def test_box_is_mapped_back_to_the_picture(finder):
    picture = np.full((300, 500), 255, np.uint8)
    cv2.ellipse(picture, (375, 140), (25, 40), 0, 0, 360, 0, 7)
    canonical = canonicalise(picture, finder)
    ys, xs = np.nonzero(canonical.image > 127)
    box = canonical.to_picture((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    assert np.abs(np.array(box) - (347, 97, 403, 183)).max() < 6
    assert canonical.to_picture((-99, -99, 999, 999)) == [0, 0, 500, 300]


def test_every_mnist_image_passes_unchanged(mnist_root):
    for split in ("validation", "test"):
        images, _ = mnist.load(split, mnist_root)
        assert all(is_framed(image) for image in images[:, 0].numpy())


def test_a_table_around_the_paper_is_no_digit(finder):
    picture = np.full((400, 500), 60, np.uint8)
    picture[60:340, 80:420] = 200
    cv2.line(picture, (240, 260), (262, 140), 40, 10, cv2.LINE_AA)
    image = canonicalise(picture, finder).image
    assert 4 < np.flatnonzero((image > 128).any(0)).size < 10 and (image[:, :6] == 0).all()


def test_a_stroke_on_the_rim_is_the_digits(finder):
    picture = np.full((200, 200), 255, np.uint8)
    cv2.line(picture, (30, 3), (170, 3), 0, 9)
    cv2.line(picture, (166, 3), (90, 190), 0, 9)
    cv2.line(picture, (20, 150), (50, 160), 0, 9)  # beside it, a shorter one
    box = canonicalise(picture, finder).image > 128
    assert box[:8].any(0).sum() > 10


def test_a_picture_of_one_digit_is_no_crowd_and_one_of_several_is(seven, finder):
    assert canonicalise(seven, finder).crowd is None
    crowd = canonicalise(np.concatenate([seven, draw("4")], 1), finder).crowd
    assert crowd is not None and crowd.ink.shape == (128, 256) and crowd.picture.shape == (200, 400)


def test_a_lone_digit_of_a_twentieth_of_the_picture_is_found(mnist_root, finder):
    """Bug: the network took it for print, and the picture was blank."""
    images, _ = mnist.load("validation", mnist_root)
    found = 0
    for image, side in zip(images[:10, 0].numpy(), [20, 28] * 5, strict=True):
        page = np.full((400, 400), 235, np.uint8)
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        page[200 : 200 + side, 150 : 150 + side] -= small // 5 * 4
        with suppress(InvalidImage):
            found += canonicalise(page, finder).image.any()
    assert found >= 9


def saved(image, axes):
    """A 28x28 image as matplotlib saves it with imshow: a square on white paper."""
    figure = np.full((480, 640), 255, np.uint8)
    figure[58:428, 143:513] = cv2.resize(image, (370, 370), interpolation=cv2.INTER_NEAREST)
    if axes:
        cv2.rectangle(figure, (143, 58), (513, 428), 0, 1)
        for place in range(0, 370, 66):
            cv2.line(figure, (138, 64 + place), (143, 64 + place), 0, 1)
            cv2.putText(figure, "10", (110, 68 + place), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 0, 1, cv2.LINE_AA)
    return figure


@pytest.mark.parametrize("axes", [False, True])
def test_a_digit_that_matplotlib_saved_is_read_as_its_square_is(seven, finder, axes):
    """Bug: the dark square was the digit."""
    image = canonicalise(seven, finder).image
    found = canonicalise(saved(image, axes), finder)
    assert likeness(image, found.image) > 0.9
    assert found.size == (640, 480)
    left, top, right, bottom = found.to_picture((4, 4, 24, 24))
    assert abs(left - 143 - 4 / 28 * 370) < 30 and abs(bottom - 58 - 24 / 28 * 370) < 30


def test_a_box_around_a_digit_and_a_dark_shape_alone_are_no_picture_in_the_picture(seven, finder):
    boxed = cv2.copyMakeBorder(seven, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=255)
    cv2.rectangle(boxed, (30, 30), (250, 250), 0, 4)
    assert canonicalise(boxed, finder).image.any()
    shape = np.full((300, 300), 255, np.uint8)
    shape[60:240, 60:240] = 20
    assert canonicalise(shape, finder).image.any()
