import dataclasses

import pytest
import torch

from tests.conftest import draw
from training.data.augmentation import degrade, move
from training.recipe import Augment

NOTHING = Augment(**{field.name: None for field in dataclasses.fields(Augment)})
NOTHING = dataclasses.replace(NOTHING, rotate=0, shear=0, scale=0, shift=0, elastic=0)


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.from_numpy(255 - draw("7", (28, 28), 0.8, 2)).float().div(255).expand(64, 1, 28, 28).clone()


def test_without_any_step_nothing_changes(images):
    assert torch.allclose(move(images, NOTHING), images, atol=1e-5)
    assert torch.equal(degrade(images, NOTHING), images)


@pytest.mark.parametrize("step", ["rotate", "shear", "scale", "shift", "elastic", "stroke", "outline"])
def test_each_move_changes_images_and_keeps_shape_and_range(images, step):
    amount = {"rotate": 20.0, "shear": 0.3, "scale": 0.2, "shift": 3.0, "elastic": 1.5}.get(step, 1.0)
    check(images, move(images, dataclasses.replace(NOTHING, **{step: amount})))


@pytest.mark.parametrize("step", ["smear", "jitter", "specks", "lines", "fog", "stripe"])
@pytest.mark.parametrize("size", [(28, 28), (96, 128)])
def test_each_degradation_changes_pictures_of_any_size_and_keeps_shape_and_range(images, step, size):
    images = torch.nn.functional.interpolate(images, size)
    check(images, degrade(images, dataclasses.replace(NOTHING, **{step: 1.0})))


def check(images, changed):
    assert changed.shape == images.shape
    assert 0 <= changed.min() and changed.max() <= 1
    assert (changed - images).abs().amax((1, 2, 3)).gt(0.05).float().mean() > 0.1  # a rectangle may miss the ink


def test_images_of_a_batch_change_differently(images):
    changed = degrade(move(images, Augment()), Augment())
    assert len(changed.flatten(1).unique(dim=0)) == len(images)


def test_input_is_not_modified(images):
    before = images.clone()
    degrade(move(images, Augment()), Augment())
    assert torch.equal(images, before)


def test_a_shift_moves_by_at_most_its_limit(images):
    changed = move(images, dataclasses.replace(NOTHING, shift=2.0))
    columns = torch.arange(28.0)
    centre = [(x.sum((1, 2)) * columns).sum(1) / x.sum((1, 2, 3)) for x in (images, changed)]
    assert (centre[0] - centre[1]).abs().max() < 2.1


def test_a_probability_is_a_share_of_the_images(images):
    images = images.repeat(16, 1, 1, 1)
    changed = degrade(images, dataclasses.replace(NOTHING, fog=0.25))
    assert (changed != images).flatten(1).any(1).float().mean() == pytest.approx(0.25, abs=0.06)
