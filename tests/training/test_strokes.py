import pytest
import torch

from training.hands import HANDS
from training.letters import LETTERS
from training.strokes import PEN, POINTS, STROKES, picture, trace

SHAKE = 0.07
DIGITS = tuple(glyph for shapes in HANDS.values() for glyph in shapes)


def written(name, count=50):
    """(count, STROKES, POINTS, 2), in ninths."""
    torch.manual_seed(0)
    points = trace((LETTERS[name],), torch.zeros(count, dtype=torch.long), SHAKE)
    return 9 * points.view(count, STROKES, POINTS, 2)


@pytest.mark.parametrize("glyphs", [tuple(LETTERS.values()), DIGITS])
def test_every_glyph_is_written_in_its_place(glyphs):
    points = trace(glyphs, torch.arange(len(glyphs)), SHAKE)
    assert points.shape == (len(glyphs), STROKES * POINTS, 2)
    assert -0.4 < points.min() and points.max() < 1.4
    assert ((points.amax(1) - points.amin(1)).amax(1) > 0.5).all()


def test_the_pen_passes_the_places_that_the_table_names():
    crossbar = written("A")[:, 1]
    for end, place in ((0, [2.0, 6.0]), (-1, [7.0, 6.0])):
        assert (crossbar[:, end].mean(0) - torch.tensor(place)).abs().max() < 4 * 9 * SHAKE / 50**0.5
    stem = written("Γ")[:, 0]  # its corner is at 1, 0
    assert ((stem - torch.tensor([1.0, 0.0])).norm(dim=2).amin(1) < 4 * 9 * SHAKE).all()


def test_each_is_written_a_little_differently():
    spread = written("K").std(0)
    assert 0.3 * 9 * SHAKE < spread.min() and spread.max() < 2 * 9 * SHAKE


def test_a_letter_of_fewer_strokes_has_its_first_again():
    points = written("V", 3)
    assert torch.equal(points[:, 0], points[:, 1]) and torch.equal(points[:, 0], points[:, 3])


def test_a_straight_stroke_is_straight():
    plus = written("+")
    for stroke in (plus[:, 0], plus[:, 1]):
        along = stroke[:, -1] - stroke[:, 0]
        away = stroke - stroke[:, :1]
        area = (along[:, None, 0] * away[..., 1] - along[:, None, 1] * away[..., 0]).abs()
        assert (area / along.norm(dim=1)[:, None]).max() < 1e-3


@pytest.mark.parametrize("glyphs", [tuple(LETTERS.values()), DIGITS])
def test_the_finest_pen_leaves_no_row_of_dots(glyphs):
    points = trace(glyphs, torch.arange(len(glyphs)), SHAKE).view(-1, STROKES, POINTS, 2)
    assert points.diff(dim=2).norm(dim=3).max() * 20 < 2 * PEN[0]  # pixels


def test_a_picture_is_framed_as_digits_of_mnist_are():
    images = picture(trace(DIGITS, torch.arange(len(DIGITS)), SHAKE))
    assert images.shape == (len(DIGITS), 1, 28, 28) and images.min() >= 0 and images.max() <= 1
    ink = images[:, 0] > 0.5
    sides = torch.stack([ink.any(1).sum(1), ink.any(2).sum(1)], 1).amax(1)
    assert 17 <= sides.min() and sides.max() <= 24
    places = torch.arange(28) + 0.5
    for profile in (images.sum((1, 2)), images.sum((1, 3))):
        assert ((profile @ places) / profile.sum(1) - 14).abs().max() <= 0.75  # it is moved by whole pixels


def test_no_digit_is_among_them():
    assert not set("0123456789OCDUIlZSbGTJ>B&agq") & set(LETTERS)
