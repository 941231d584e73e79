import dataclasses
import math

import pytest
import torch

from tests.conftest import draw
from training.data.nondigits import MIRRORED, NONE, SWAPPED, cross_entropy, spoil
from training.loop.recipe import NonDigits

NOTHING = NonDigits(**{field.name: None for field in dataclasses.fields(NonDigits)})


@pytest.fixture
def digits():
    torch.manual_seed(0)
    labels = torch.arange(200) % 10
    drawn = [torch.from_numpy(255 - draw(str(digit), (28, 28), 0.8, 2)) for digit in range(10)]
    return torch.stack(drawn)[labels][:, None].float() / 255, labels


def test_nothing_asked_for_changes_nothing(digits):
    images, labels = spoil(*digits, NOTHING)
    assert torch.equal(images, digits[0]) and torch.equal(labels, digits[1])


@pytest.mark.parametrize("kind", [field.name for field in dataclasses.fields(NonDigits)])
def test_each_kind_changes_its_share_and_says_so(digits, kind):
    images, labels = spoil(*digits, dataclasses.replace(NOTHING, **{kind: 0.5}))
    assert images.shape == digits[0].shape and 0 <= images.min() and images.max() <= 1
    assert torch.equal(images[100:], digits[0][100:]) and torch.equal(labels[100:], digits[1][100:])
    spoilt = labels == NONE
    assert spoilt[:100].float().mean() > 0.4
    assert (images != digits[0]).flatten(1).any(1)[spoilt].all()
    assert torch.equal(images[~spoilt], digits[0][~spoilt])
    assert torch.equal(labels[~spoilt], digits[1][~spoilt])


def test_kinds_together_fill_their_shares(digits):
    _, labels = spoil(*digits, dataclasses.replace(NOTHING, several=0.1, scribble=0.2, blotch=0.1))
    assert (labels == NONE).sum() == 0.4 * len(labels)


def test_what_would_still_be_a_digit_stays_one(digits):
    images, labels = digits
    eights = labels == 8
    assert 8 not in MIRRORED and 8 not in SWAPPED
    _, swapped = spoil(images[eights], labels[eights], dataclasses.replace(NOTHING, swapped=1.0))
    assert (swapped == 8).all()


def test_scribbles_are_framed_like_digits(digits):
    images, _ = spoil(*digits, dataclasses.replace(NOTHING, scribble=1.0))
    ink = images[:, 0] > 0.5
    extents = torch.stack([ink.any(1).sum(1), ink.any(2).sum(1)], 1).amax(1)
    assert 15 <= extents.min() and extents.max() <= 24


def test_loss_of_a_digit_is_its_negative_log_likelihood():
    logits = torch.tensor([[2.0] + [0.0] * 9, [0.0] * 10])
    found = cross_entropy(logits, torch.tensor([0, 3]))
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, torch.tensor([0, 3])).item())


def test_loss_of_what_is_no_digit_is_least_where_all_ten_are_equal():
    even = cross_entropy(torch.zeros(1, 10), torch.tensor([NONE])).item()
    assert even == pytest.approx(math.log(10))
    assert cross_entropy(torch.eye(10)[:1], torch.tensor([NONE])).item() > even
