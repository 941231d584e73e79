import pytest
import torch

from tests.conftest import draw
from training.data.pages import OVERLAP, SIDES, compose, ink_boxes


@pytest.fixture
def digits():
    torch.manual_seed(0)
    eights = 255 - draw("8", (28, 28), 0.7, 2)
    return torch.from_numpy(eights).float().div(255).expand(96, 1, 28, 28)


def test_ink_box_is_tight():
    image = torch.zeros(2, 1, 28, 28)
    image[0, 0, 3:9, 5:20] = 1
    around, whole = ink_boxes(image)
    assert torch.allclose(around, torch.tensor([5.0, 3.0, 20.0, 9.0]), atol=0.2)
    assert whole.tolist() == [0, 0, 28, 28]


def test_an_ink_box_ends_between_two_pixels():
    image = torch.zeros(3, 1, 28, 28)
    image[:, 0, 8:20, 10:14] = 1
    image[:, 0, 8:20, 9] = torch.tensor([0.0, 0.3, 0.6])[:, None]
    left = ink_boxes(image)[:, 0]
    assert (left.diff() < -0.02).all() and left[0] - left[2] < 1


def test_grain_is_not_ink():
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 8:20, 10:14] = 1
    image[0, 0, [1, 26, 3], [2, 3, 25]] = 0.5
    assert torch.allclose(ink_boxes(image), torch.tensor([[10.0, 8.0, 14.0, 20.0]]), atol=0.2)


@pytest.mark.parametrize("size, per_canvas", [(48, 1), (96, 4), (128, 8)])
def test_boxes_are_where_the_ink_is(digits, size, per_canvas):
    canvases, targets = compose(digits, torch.arange(96) % 10, size, per_canvas)
    assert canvases.shape == (96 // per_canvas, 1, size, size)
    outside = canvases.clone()
    for canvas, target in zip(outside, targets, strict=True):
        assert 1 <= len(target["boxes"]) == len(target["labels"]) <= per_canvas
        for x_min, y_min, x_max, y_max in target["boxes"].tolist():
            box = canvas[:, round(y_min) : round(y_max), round(x_min) : round(x_max)]
            assert box.max() > 0.5
            assert min(SIDES) - 0.1 <= max(x_max - x_min, y_max - y_min) <= max(SIDES) + 0.1
        for x_min, y_min, x_max, y_max in target["boxes"].round().int().tolist():
            canvas[:, max(0, y_min - 2) : y_max + 2, max(0, x_min - 2) : x_max + 2] = 0
    assert outside.max() < 0.5


def test_non_digits_are_drawn_without_a_box(digits):
    labels = torch.arange(96) % 2 - 1  # every second one is none
    canvases, targets = compose(digits, labels, 128, 2)
    assert all((target["labels"] == 0).all() and len(target["boxes"]) <= 1 for target in targets)
    alone, _ = compose(digits[:1], labels[:1], 64, 1)
    assert alone.max() > 0.5


def test_digits_hardly_overlap(digits):
    _, targets = compose(digits, torch.zeros(96, dtype=torch.int64), 128, 8)
    for target in targets:
        boxes = target["boxes"]
        low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        shared = (high - low).clamp(min=0).prod(2).fill_diagonal_(0)
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        assert (shared <= OVERLAP * torch.minimum(areas[:, None], areas[None]) + 1e-3).all()


def test_labels_stay_with_their_digits():
    images = torch.zeros(16, 1, 28, 28)
    images[::2, 0, 4:24, 12:16] = 1  # a bar
    images[1::2, 0, 12:16, 4:24] = 1  # lying
    canvases, targets = compose(images, torch.arange(16) % 2, 96, 2)
    for target in targets:
        extent = target["boxes"][:, 2:] - target["boxes"][:, :2]
        assert torch.equal(extent[:, 0] > extent[:, 1], target["labels"] == 1)
