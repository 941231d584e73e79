"""Figures that compare probabilities with labels."""

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import f1_score, roc_auc_score

BINS = 15  # bins of confidence, all of the same width (Guo et al., https://arxiv.org/abs/1706.04599)
SMALLEST = 1e-12  # smallest probability in a loss, so that the loss is finite
DRAWS = 1000  # bootstrap samples


def share(chosen: np.ndarray) -> dict[str, float | list[float]]:
    """N, the share of true values in `chosen` (N,) bool, and Wilson's 95 % interval of the share. N is at least 1."""
    interval = binomtest(int(chosen.sum()), len(chosen)).proportion_ci(0.95, "wilson")
    return {"n": len(chosen), "share": float(chosen.mean()), "interval": [float(interval.low), float(interval.high)]}


def figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, macro F1, loss (mean negative log-likelihood, nats), ECE and Brier score of probabilities (N, 10)."""
    digits = probabilities.argmax(1)
    right = digits == labels
    of_label = probabilities[np.arange(len(labels)), labels]
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(labels, digits, average="macro")),
        "loss": float(-np.log(of_label.clip(SMALLEST)).mean()),
        "ece": calibration_error(probabilities.max(1), right),
        "brier": float(((probabilities - np.eye(10)[labels]) ** 2).sum(1).mean()),
    }


def calibration_error(confidences: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: the mean over images of |confidence - accuracy| in the image's bin."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    gap = np.bincount(bins, right - confidences, BINS)
    return float(np.abs(gap).sum() / len(right))


def intervals(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """95 % bootstrap intervals [low, high] of accuracy, loss and ECE over samples of the test images."""
    generator = np.random.default_rng(0)
    digits, confidences = probabilities.argmax(1), probabilities.max(1)
    right = digits == labels
    losses = -np.log(probabilities[np.arange(len(labels)), labels].clip(SMALLEST))
    drawn = []
    for _ in range(DRAWS):
        some = generator.integers(0, len(labels), len(labels))
        drawn.append((right[some].mean(), losses[some].mean(), calibration_error(confidences[some], right[some])))
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0).tolist()
    return {name: [low[i], high[i]] for i, name in enumerate(("accuracy", "loss", "ece"))}


def separation(of_digits: np.ndarray, of_others: np.ndarray) -> float:
    """Area under the ROC curve that separates digits (N,) from non-digits (M,) by their confidences."""
    return float(roc_auc_score(np.repeat([1, 0], [len(of_digits), len(of_others)]), np.r_[of_digits, of_others]))
