import numpy as np
import pytest
import torch

from training.measure.detection import DIGITS, SIDE, find, pages, precision


@pytest.fixture
def targets():
    return [
        {"boxes": torch.tensor([[10.0, 10, 40, 50], [60, 60, 90, 100]]), "labels": torch.tensor([3, 0])},
        {"boxes": torch.tensor([[5.0, 5, 30, 30]]), "labels": torch.tensor([9])},
    ]


def answer(targets, shift=0.0, extra=1):
    """The answer of a detector that finds every digit `shift` pixels too far right, and `extra` uncertain boxes."""
    boxes = np.zeros((len(targets), 2 + extra, 4), np.float32)
    scores = np.zeros((len(targets), 2 + extra, 10), np.float32)
    for page, target in enumerate(targets):
        for k, (box, label) in enumerate(zip(target["boxes"], target["labels"], strict=True)):
            boxes[page, k] = box.numpy() + np.array([shift, 0, shift, 0])
            scores[page, k, label] = 0.9
    boxes[:, -1], scores[:, -1, 5] = [100, 100, 120, 120], 0.01
    return boxes, scores


def test_perfect_boxes_have_a_precision_of_one(targets):
    found = precision(*answer(targets), targets)
    assert found["ap"] == pytest.approx(1) and found["ap50"] == pytest.approx(1) and found["ar"] == pytest.approx(1)
    assert (found["pages"], found["digits"]) == (2, 3)


def test_boxes_a_little_off_count_only_at_an_overlap_of_a_half(targets):
    found = precision(*answer(targets, shift=6.0), targets)
    assert found["ap50"] == pytest.approx(1) and found["ap"] < 0.7


def test_a_wrong_class_counts_as_nothing_found(targets):
    boxes, scores = answer(targets)
    assert precision(boxes, np.roll(scores, 1, 2), targets)["ap50"] == 0


def test_pages_are_the_same_each_time_and_leave_the_generator_alone():
    images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 4:24, 12:16] = 255
    torch.manual_seed(3)
    expected = torch.rand(())
    torch.manual_seed(3)
    first, targets = pages(images, torch.arange(64) % 10)
    assert torch.rand(()) == expected
    assert first.shape == (64 // DIGITS, 1, SIDE, SIDE) and first.dtype == torch.uint8 and first.max() == 255
    assert torch.equal(first, pages(images, torch.arange(64) % 10)[0])
    assert sum(len(target["labels"]) for target in targets) > 0.9 * 64


def test_find_returns_the_boxes_of_all_pages():
    class Session:
        def run(self, names, feed):
            n = len(feed["images"])
            return np.full((n, 2, 4), n), np.zeros((n, 2, 10))

    boxes, scores = find(Session(), torch.zeros(37, 1, 64, 64, dtype=torch.uint8))
    assert boxes.shape == (37, 2, 4) and scores.shape == (37, 2, 10)
