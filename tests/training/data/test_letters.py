import torch

from training.data.letters import LETTERS, POINTS, SHAKE, STROKES, letters

KINDS = {name: number for number, name in enumerate(LETTERS)}


def written(name, count=50):
    """(count, STROKES, POINTS, 2), in ninths."""
    torch.manual_seed(0)
    return 9 * letters(torch.full((count,), KINDS[name])).view(count, STROKES, POINTS, 2)


def test_every_letter_is_written_in_its_place():
    points = letters(torch.arange(len(LETTERS)))
    assert points.shape == (len(LETTERS), STROKES * POINTS, 2)
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


def test_a_straight_stroke_is_straight_and_evenly_dotted_enough_for_a_pen():
    plus = written("+")
    for stroke in (plus[:, 0], plus[:, 1]):
        along = stroke[:, -1] - stroke[:, 0]
        away = stroke - stroke[:, :1]
        area = (along[:, None, 0] * away[..., 1] - along[:, None, 1] * away[..., 0]).abs()
        assert (area / along.norm(dim=1)[:, None]).max() < 1e-3
    steps = letters(torch.arange(len(LETTERS))).view(-1, STROKES, POINTS, 2).diff(dim=2).norm(dim=3)
    assert steps.max() * 20 < 2.6  # pixels, less than the thinnest pen is wide


def test_no_digit_is_among_them():
    assert not set("0123456789OCDUIlZSbGTJ>B&agq") & set(LETTERS)
