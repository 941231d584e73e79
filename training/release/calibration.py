"""Temperature scaling (Guo et al., https://arxiv.org/abs/1706.04599), fitted on validation images."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

RANGE = 0.1, 10.0  # lowest and highest temperature considered


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The number that logits (N, 10) must be divided by to minimise the negative log-likelihood of labels (N,).

    Log-probabilities can be passed as logits.
    """
    logits, rows = np.asarray(logits, np.float64), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()

    found: Any = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded")
    return float(np.exp(found.x))
