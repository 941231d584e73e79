import numpy as np
import pytest

from service.inference.cuda import Bound
from service.inference.predictor import Predictor
from service.inference.shapes import SIZES


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=1)


@pytest.mark.parametrize("count", [1, 3, 32, 70])
def test_says_what_the_plain_sessions_say(predictor, count):
    """On the CPU, where it runs too; on a GPU the predictor's own test compares it with the CPU."""
    images = np.random.default_rng(count).integers(0, 256, (count, 1, 28, 28), np.uint8)
    plain = ["cnn", "faster_rcnn"]
    bound = Bound({name: predictor.artefacts[name] for name in plain}, "cpu").run(images, plain)
    for name in plain:
        artefact, (outputs, milliseconds) = predictor.artefacts[name], bound[name]
        expected = dict(zip(artefact.outputs, artefact.session.run(artefact.outputs, {"images": images}), strict=True))
        assert outputs.keys() == expected.keys() and milliseconds > 0
        for key, values in expected.items():
            assert np.abs(outputs[key] - values).max() < 1e-3, key


def test_shapes_are_few_and_the_largest_is_first():
    assert list(SIZES) == sorted(SIZES, reverse=True) and SIZES[-1] == 1
