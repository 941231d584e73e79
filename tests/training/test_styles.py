import torch

from training.styles import restyle


def stick(count):
    images = torch.zeros(count, 1, 28, 28)
    images[:, 0, 4:24, 13:15] = 1
    return images


def test_a_plain_one_gets_an_upstroke_to_the_left_of_its_top_or_a_foot():
    torch.manual_seed(0)
    images = stick(200)
    written = restyle(images, torch.ones(200, dtype=torch.int64), 1.0)
    assert (written >= images).all()
    added = written - images
    upstroke = added[:, 0, 4:16, :12].flatten(1).amax(1) > 0.5
    foot = (added[:, 0, 22:26, :12].flatten(1).amax(1) > 0.5) & (added[:, 0, 22:26, 16:].flatten(1).amax(1) > 0.5)
    assert (upstroke | foot).all()
    assert 0.85 < upstroke.float().mean() < 0.99 and 0.3 < foot.float().mean() < 0.6
    assert added[:, 0, 4:20, 17:].max() == 0  # nothing to the right of the stem


def test_a_one_that_has_its_upstroke_is_left_alone():
    images = stick(20)
    for step in range(6):
        images[:, 0, 5 + step, 12 - step] = 1
    assert torch.equal(restyle(images, torch.ones(20, dtype=torch.int64), 1.0), images)


def test_a_seven_gets_a_bar_and_a_zero_a_stroke():
    torch.manual_seed(0)
    images = stick(400)
    sevens = restyle(images, torch.full((400,), 7), 1.0)
    assert 0.4 < (sevens != images).flatten(1).any(1).float().mean() < 0.6
    assert (sevens - images)[:, 0, :11].max() < 0.05 and (sevens - images)[:, 0, 19:].max() < 0.05
    zeros = restyle(images, torch.zeros(400, dtype=torch.int64), 1.0)
    assert 0.04 < (zeros != images).flatten(1).any(1).float().mean() < 0.2


def test_other_digits_and_what_is_none_stay():
    images = stick(8)
    labels = torch.tensor([2, 3, 4, 5, 6, 8, 9, -1])
    assert torch.equal(restyle(images, labels, 1.0), images)
