import pytest
import torch

from training.data.styles import restyle


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


@pytest.mark.parametrize("digit", [0, 1, 4, 7, 9])
def test_what_was_written_otherwise_has_its_ink_in_the_middle_as_an_upload_has(digit):
    images = written(digit)
    assert (images != stick(400)).flatten(1).any(1).sum() > 20
    assert (centres(images) - 14).abs().max() <= 0.75  # it is moved by whole pixels, and an end may leave the frame
    assert images.min() >= 0 and images.max() <= 1


def extents(images):
    """From the first to the last ink in each row, (N, 28) pixels."""
    ink = images[:, 0] > 0.5
    return torch.where(ink.any(2), 28 - ink.flip(2).float().argmax(2) - ink.float().argmax(2), 0)


def test_a_plain_one_gets_an_upstroke_that_hangs_or_a_foot():
    images = written(1)
    wide = extents(images)
    top = (wide > 0).float().argmax(1)
    upstroke, foot = wide[:, :14].amax(1) > 4, wide[:, 18:].amax(1) > 6  # the stem alone has two or three
    assert 0.7 < upstroke.float().mean() < 0.99 and 0.35 < foot.float().mean() < 0.55
    fall = wide[:, :18].argmax(1) - top  # rows from the top to the upstroke's end
    assert (fall[upstroke] >= 2).float().mean() > 0.95


def test_a_one_that_has_its_upstroke_keeps_its_shape():
    images = stick(20)
    for step in range(8):
        images[:, 0, 5 + step, 12 - step] = 1
    made = written(1, images=images)
    assert torch.allclose(made, images.roll((1, 1), (2, 3)), atol=1e-4)  # only moved, the ink's centre to the middle


def test_a_seven_gets_a_bar_or_a_hanging_one_above_and_a_zero_a_stroke():
    sevens = written(7)
    wide = extents(sevens)
    barred, hanging = wide[:, 13:19].amax(1) > 4, wide[:, :10].amax(1) > 5
    assert 0.4 < barred.float().mean() < 0.6 and 0.2 < hanging.float().mean() < 0.4
    assert (sevens[~barred & ~hanging] == stick(400)[~barred & ~hanging]).all()
    assert 0.04 < (written(0) != stick(400)).flatten(1).any(1).float().mean() < 0.2


def test_a_nine_gets_a_straight_stem_a_loop_above_and_at_times_a_tail():
    nines = written(9)
    changed = (nines != stick(400)).flatten(1).any(1)
    assert 0.2 < changed.float().mean() < 0.4
    wide = extents(nines[changed])
    assert (wide[:, 13:18].amin(1) <= 4).all() and (wide[:, :14].amax(1) >= 4).all()  # a long tail reaches row 16
    assert 0.2 < (wide[:, 19:].amax(1) > 4).float().mean() < 0.6


def test_a_four_goes_down_to_the_left_across_and_down_again():
    fours = written(4)
    changed = (fours != stick(400)).flatten(1).any(1)
    assert 0.1 < changed.float().mean() < 0.3
    ink = fours[changed][:, 0] > 0.5
    columns = ink.float().argmax(2)  # the first ink of each row
    rows = ink.any(2)
    first, last = rows.float().argmax(1), 27 - rows.flip(1).float().argmax(1)
    each = torch.arange(len(ink))
    corner = torch.where(rows, columns, 28).amin(1)
    assert (columns[each, first] > corner + 2).all() and (columns[each, last] > corner + 2).all()
    assert (extents(fours[changed])[:, 4:24].amax(1) >= 7).all()


def test_other_digits_and_what_is_none_stay():
    images = stick(6)
    labels = torch.tensor([2, 3, 5, 6, 8, -1])
    assert torch.equal(restyle(images, labels, 1.0), images)
