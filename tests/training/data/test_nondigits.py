import math

import pytest
import torch

from tests.conftest import draw
from training.data.augmentation import spoil
from training.recipe import NONE, cross_entropy


@pytest.fixture
def digits():
    torch.manual_seed(0)
    labels = torch.arange(200) % 10
    drawn = [torch.from_numpy(255 - draw(str(digit), (28, 28), 0.8, 2)) for digit in range(10)]
    return torch.stack(drawn)[labels][:, None].float() / 255, labels


def test_without_any_step_nothing_changes(digits):
    images, labels = spoil(*digits, None)
    assert torch.equal(images, digits[0]) and torch.equal(labels, digits[1])


def test_first_images_of_a_batch_become_frames_of_several_digits(digits):
    images, labels = spoil(*digits, 0.5)
    assert images.shape == digits[0].shape and 0 <= images.min() and images.max() <= 1
    assert (labels[:100] == NONE).all() and (images[:100] != digits[0][:100]).flatten(1).any(1).all()
    assert torch.equal(images[100:], digits[0][100:]) and torch.equal(labels[100:], digits[1][100:])


def test_loss_of_a_digit_is_its_negative_log_likelihood():
    logits = torch.tensor([[2.0] + [0.0] * 9, [0.0] * 10])
    found = cross_entropy(logits, torch.tensor([0, 3]))
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, torch.tensor([0, 3])).item())


def test_loss_of_a_non_digit_is_least_if_all_ten_are_equal():
    even = cross_entropy(torch.zeros(1, 10), torch.tensor([NONE])).item()
    assert even == pytest.approx(math.log(10))
    assert cross_entropy(torch.eye(10)[:1], torch.tensor([NONE])).item() > even
