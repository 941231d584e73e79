import numpy as np
import pytest

from training.digits import temperature


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_behind_the_labels_is_found(true):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 10))
    probabilities = np.exp(logits / true)
    probabilities /= probabilities.sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) < generator.random((20_000, 1))).sum(1)
    assert temperature(logits, labels) == pytest.approx(true, rel=0.05)
