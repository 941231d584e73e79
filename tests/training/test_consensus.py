"""The fit of the consensus and of temperatures."""

import numpy as np
import pytest

from training.digits import temperature
from training.release import TOGETHER, fit_consensus, least_is_digit, weights

LABELS = np.arange(2000) % 10


def answers(wrong, seed):
    """Probabilities (2000, 10) of a network that reads a share `wrong` of the labels wrong, with the same certainty."""
    generator = np.random.default_rng(seed)
    said = np.where(
        generator.random(len(LABELS)) < wrong, (LABELS + generator.integers(1, 10, len(LABELS))) % 10, LABELS
    )
    found = np.full((len(LABELS), 10), 0.1 / 9)
    found[np.arange(len(LABELS)), said] = 0.9
    return found


def test_equal_networks_weigh_the_same_and_a_weak_one_almost_nothing():
    good = [answers(0.01, seed) for seed in range(3)]
    *equal, weak = weights(np.stack([*good, answers(0.3, 9)]), LABELS)
    assert sum(equal) + weak == pytest.approx(1, abs=0.001)
    assert max(equal) < 1.5 * min(equal) and weak < 0.02


def test_every_choice_has_a_temperature_and_a_threshold():
    fitted = fit_consensus({"a": answers(0.01, 0), "b": answers(0.02, 1)}, LABELS)
    assert list(fitted.weight) == ["a", "b"]
    assert fitted.temperature.keys() == fitted.threshold.keys() == {"a", "b", "a,b"}


def test_is_digit_refuses_what_confidence_leaves_of_the_allowed_share():
    scores = np.arange(1000) / 1000
    unsure = {name: np.zeros(1000, bool) for name in TOGETHER}
    least = least_is_digit(dict.fromkeys(TOGETHER, scores), unsure)
    assert 0.002 <= least <= 0.004  # MNIST's .3 % allow less than UNIPEN's 2 %
    unsure["validation"][500:502] = True
    assert least_is_digit(dict.fromkeys(TOGETHER, scores), unsure) < least - 0.001
    unsure["validation"][:100] = True
    assert least_is_digit(dict.fromkeys(TOGETHER, scores), unsure) == 0


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_behind_the_labels_is_found(true):
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (20_000, 10))
    probabilities = np.exp(logits / true)
    probabilities /= probabilities.sum(1, keepdims=True)
    labels = (probabilities.cumsum(1) < generator.random((20_000, 1))).sum(1)
    assert temperature(logits, labels) == pytest.approx(true, rel=0.05)
