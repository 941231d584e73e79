"""The fit of the consensus."""

import numpy as np
import pytest

from training.release.consensus import fit, weights

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
    fitted = fit({"a": answers(0.01, 0), "b": answers(0.02, 1)}, LABELS)
    assert list(fitted.weight) == ["a", "b"]
    assert fitted.temperature.keys() == fitted.threshold.keys() == {"a", "b", "a,b"}
