import math

import pytest
import torch

from training.hands import HANDS, WIDTH, rewrite, write


def test_a_share_of_the_digits_is_written_anew_and_what_is_none_stays():
    torch.manual_seed(0)
    images = torch.zeros(1000, 1, 28, 28)
    labels = torch.arange(1000) % 11 - 1
    written = rewrite(images, labels, 0.3)
    changed = written.flatten(1).any(1)
    assert not changed[labels < 0].any() and not images.any()
    for digit in range(10):
        assert 0.15 < changed[labels == digit].float().mean() < 0.45
    assert torch.equal(rewrite(images, labels, 0.0), images)


@pytest.mark.parametrize("digit", range(10))
def test_each_is_written_differently(digit):
    torch.manual_seed(0)
    images = write(torch.full((50,), digit))
    assert images.min() >= 0 and images.max() <= 1
    assert len(images.flatten(1).unique(dim=0)) == 50


def falls(digit, width):
    """By how many degrees the left end of a glyph's first stroke hangs, of those that turn down at a corner."""
    for glyph in HANDS[digit]:
        left, corner, *rest = glyph.split(",")[0].split()
        if rest and rest[0] == corner and left[0] < corner[0]:
            (x, y), (corner_x, corner_y) = map(int, left), map(int, corner)
            yield math.degrees(math.atan2(y - corner_y, (corner_x - x) * width))


def test_a_one_and_a_seven_are_told_apart_by_how_the_first_stroke_hangs():
    ones, sevens = list(falls(1, max(WIDTH))), list(falls(7, min(WIDTH)))
    assert len(ones) > 4 and min(ones) >= 40
    assert len(sevens) > 4 and max(sevens) <= 30
