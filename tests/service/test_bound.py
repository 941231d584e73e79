import numpy as np
import pytest

from service.bound import SIZES, Bound
from service.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=1)


@pytest.mark.parametrize("count", [1, 3, 32, 70])
def test_says_what_the_plain_sessions_say(predictor, count):
    """On the CPU, where it runs too; on a GPU the predictor's own test compares it with the CPU."""
    images = np.random.default_rng(count).integers(0, 256, (count, 1, 28, 28), np.uint8)
    plain = predictor.classify(images, ["cnn", "faster_rcnn"]).by_name
    bound = Bound({name: predictor.artefacts[name] for name in plain}, "cpu").run(images, list(plain))
    for name, answer in plain.items():
        outputs, milliseconds = bound[name]
        assert np.abs(outputs["probabilities"] - answer.probabilities).max() < 1e-4 and milliseconds > 0
    assert outputs["boxes"].shape[0] == count


def test_shapes_are_few_and_the_largest_is_first():
    assert list(SIZES) == sorted(SIZES, reverse=True) and SIZES[-1] == 1
