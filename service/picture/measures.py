"""Measures of grey levels and masks that several steps need."""

import cv2
import numpy as np

SAMPLE = 100  # rows and columns that are enough to know how grey levels are spread


def sample(values: np.ndarray) -> np.ndarray:
    """Rows and columns of (H, W), evenly spread, at most SAMPLE of each."""
    height, width = values.shape
    return values[:: -(-height // SAMPLE), :: -(-width // SAMPLE)]


def level(values: np.ndarray, share: float) -> float:
    """The value that a share of all is below: a quantile, without what numpy's own costs for a few values."""
    place = min(int(share * values.size), values.size - 1)
    return float(np.partition(values, place, axis=None)[place])


def breadth(mask: np.ndarray) -> float:
    """Pixels across the strokes of a mask (H, W) bool."""
    padded = cv2.copyMakeBorder(np.uint8(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return float(
        4 * cv2.distanceTransform(padded, cv2.DIST_L2, 3)[padded > 0].mean() - 1
    )  # a strip's mean is a quarter
