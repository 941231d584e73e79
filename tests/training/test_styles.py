import pytest
import torch

from training.styles import restyle


def stick(count):
    images = torch.zeros(count, 1, 28, 28)
    images[:, 0, 4:24, 13:15] = 1
    return images


def written(digit, count=400, images=None):
    torch.manual_seed(0)
    images = stick(count) if images is None else images
    return restyle(images, torch.full((len(images),), digit), 1.0)


def centres(images):
    """(N, 2) as (row, column) of the pixels' middles."""
    places = torch.arange(28) + 0.5
    mass = images.sum((1, 2, 3))
    rows, columns = (images[:, 0] * places[:, None]).sum((1, 2)), (images[:, 0] * places).sum((1, 2))
    return torch.stack([rows, columns], 1) / mass[:, None]


@pytest.mark.parametrize("digit", [0, 1, 7, 9])
def test_what_was_written_otherwise_has_its_ink_in_the_middle_as_an_upload_has(digit):
    images = written(digit)
    assert (images != stick(400)).flatten(1).any(1).sum() > 20
    assert (centres(images) - 14).abs().max() <= 0.75  # it is moved by whole pixels, and an end may leave the frame
    assert images.min() >= 0 and images.max() <= 1


def test_a_plain_one_gets_an_upstroke_or_a_foot_and_nothing_to_the_right():
    images = written(1)
    ink = images[:, 0] > 0.5
    first, last = ink.any(2).float().argmax(1), 27 - ink.any(2).flip(1).float().argmax(1)
    each = torch.arange(len(ink))
    reach = torch.stack([ink[each, row].sum(1) for row in (last - 1, last, last + 1)], 1).amax(1)
    foot = reach > 7  # a stem alone is two pixels wide
    assert 0.3 < foot.float().mean() < 0.6
    upstroke = torch.stack([ink[each, first + down].sum(1) for down in range(3, 8)], 1).amax(1) > 3
    upstroke |= (
        torch.stack([ink[each, first + down].float().diff(dim=1).gt(0).sum(1) for down in range(3, 12)], 1).amax(1) > 1
    )
    assert 0.8 < upstroke.float().mean() <= 1.0


def test_the_upstroke_hangs_more_than_a_bar_of_a_seven():
    images = written(1)[:, 0] > 0.5
    rows, columns = images.any(2), images.any(1)
    left = columns.float().argmax(1)  # the end of the upstroke, or of the foot
    each = torch.arange(len(images))
    top, end = rows.float().argmax(1), images[each, :, left].float().argmax(1)
    assert ((end - top) >= 2).float().mean() > 0.9


def test_a_one_that_has_its_upstroke_keeps_its_shape():
    images = stick(20)
    for step in range(8):
        images[:, 0, 5 + step, 12 - step] = 1
    made = written(1, images=images)
    assert torch.allclose(made, images.roll((1, 1), (2, 3)))  # only moved, the ink's centre to the middle


def test_a_seven_gets_a_bar_and_a_zero_a_stroke():
    sevens = written(7)
    changed = (sevens != stick(400)).flatten(1).any(1)
    assert 0.4 < changed.float().mean() < 0.6
    wide = (sevens[changed][:, 0] > 0.5).sum(2)
    assert (wide.amax(1) >= 5).all() and (wide[:, :8] <= 2).all() and (wide[:, 20:] <= 2).all()
    assert 0.04 < (written(0) != stick(400)).flatten(1).any(1).float().mean() < 0.2


def test_a_nine_gets_a_straight_stem_and_a_loop_above():
    nines = written(9)
    changed = (nines != stick(400)).flatten(1).any(1)
    assert 0.1 < changed.float().mean() < 0.3
    ink = nines[changed][:, 0] > 0.5
    lower, upper = ink[:, 18:].sum(2).amax(1), ink[:, :12].sum(2).amax(1)
    assert (lower <= 4).all() and (upper >= 4).all()


def test_other_digits_and_what_is_none_stay():
    images = stick(7)
    labels = torch.tensor([2, 3, 4, 5, 6, 8, -1])
    assert torch.equal(restyle(images, labels, 1.0), images)
