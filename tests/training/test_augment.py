import dataclasses

import pytest
import torch

from tests.conftest import draw
from training.augment import augment
from training.recipe import Augment

NOTHING = Augment(
    rotate=0, shear=0, scale=0, shift=0, elastic=0, stroke=None, contrast=None, blur=None, noise=None, erase=None
)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.from_numpy(255 - draw("7", (28, 28), 0.8, 2)).float().div(255).expand(64, 1, 28, 28).clone()


def test_nothing_asked_for_changes_nothing(images):
    assert torch.allclose(augment(images, NOTHING), images, atol=1e-5)


@pytest.mark.parametrize(
    "step",
    [
        {"rotate": 20.0},
        {"shear": 0.3},
        {"scale": 0.2},
        {"shift": 3.0},
        {"elastic": 1.5},
        {"stroke": 1.0},
        {"contrast": 1.0},
        {"blur": 1.0},
        {"noise": 1.0},
        {"erase": 1.0},
    ],
)
def test_each_step_changes_images_and_keeps_shape_and_range(images, step):
    before = images.clone()
    changed = augment(images, dataclasses.replace(NOTHING, **step))
    assert changed.shape == images.shape
    assert 0 <= changed.min() and changed.max() <= 1
    assert (changed - before).abs().amax((1, 2, 3)).gt(0.05).float().mean() > 0.3  # a rectangle may miss the ink
    assert torch.equal(images, before)


def test_images_of_a_batch_change_differently(images):
    changed = augment(images, Augment())
    assert len(changed.flatten(1).unique(dim=0)) == len(images)


def test_a_shift_moves_by_at_most_what_was_asked(images):
    changed = augment(images, dataclasses.replace(NOTHING, shift=2.0))
    columns = torch.arange(28.0)
    centre = [(x.sum((1, 2)) * columns).sum(1) / x.sum((1, 2, 3)) for x in (images, changed)]
    assert (centre[0] - centre[1]).abs().max() < 2.1
