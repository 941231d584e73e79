import numpy as np
import pytest

from training.measure.figures import calibration_error, figures, intervals, separation


def test_figures_of_a_perfect_and_a_useless_answer():
    labels = np.arange(10)
    perfect = figures(np.eye(10, dtype=np.float32), labels)
    assert (perfect["accuracy"], perfect["macro_f1"]) == (1, 1)
    assert perfect["loss"] < 1e-6 and perfect["ece"] == 0 and perfect["brier"] == 0
    useless = figures(np.full((10, 10), 0.1, np.float32), labels)
    assert useless["accuracy"] == 0.1 and useless["loss"] == pytest.approx(np.log(10), rel=1e-4)
    assert useless["ece"] == pytest.approx(0, abs=1e-6) and useless["brier"] == pytest.approx(0.9)


def test_calibration_error_is_the_gap_of_each_bin_by_its_share():
    confidences = np.array([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    right = np.array([True, True, True, False, False, False])
    assert calibration_error(confidences, right) == pytest.approx((4 * 0.15 + 2 * 0.6) / 6)


def test_confidence_of_one_is_in_the_last_bin():
    assert calibration_error(np.ones(4), np.array([True, True, True, False])) == pytest.approx(0.25)


def test_intervals_hold_the_figure_and_are_the_same_each_time():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 2000)
    probabilities = np.full((2000, 10), 0.01)
    wrong = generator.random(2000) < 0.1
    probabilities[np.arange(2000), np.where(wrong, (labels + 1) % 10, labels)] = 0.91
    low, high = intervals(probabilities, labels)["accuracy"]
    assert low < (~wrong).mean() < high and 0.02 < high - low < 0.04
    assert intervals(probabilities, labels) == intervals(probabilities, labels)


def test_separation_is_one_where_every_digit_is_surer_than_every_other():
    assert separation(np.array([0.8, 0.9]), np.array([0.1, 0.7])) == 1
    assert separation(np.array([0.5, 0.9]), np.array([0.1, 0.7])) == 0.75
