"""The ink of one digit to MNIST's framing, https://yann.lecun.com/exdb/mnist.

White ink on black, the longer side of the ink 20 pixels, its centre of mass in the middle of 28x28.
"""

import cv2
import numpy as np

SIZE = 28  # pixels a side of the result
INK_SIZE = 20  # pixels of the longer side of the ink in it
FULL = 0.97  # share of the digit's box that is no darker than full ink
THIN = 0.115  # of the longer side: a pen thinner than this is drawn as thick, for on 20 pixels it would fade


def frame(ink: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float, float, float]:
    """The ink (H, W), uint8 or float32, of one digit as MNIST frames it, where its mask (H, W) bool says the digit is.

    Returns (28, 28) uint8, its pixels per pixel of the ink, and where in it the ink's upper left corner is: x and y.
    """
    left, top, right, bottom = extent(mask)
    crop, grown = _thicken(ink[top:bottom, left:right], mask[top:bottom, left:right])
    fit = INK_SIZE / max(crop.shape)
    size = [max(1, round(side * fit)) for side in reversed(crop.shape)]
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    small *= 255 / max(float(np.quantile(small, FULL)), 1)
    image, x, y = _centre(small.clip(0, 255).astype(np.uint8))
    return image, fit, x - (left - grown) * fit, y - (top - grown) * fit


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x_min, y_min, x_max, y_max) of the pixels that are set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def is_framed(picture: np.ndarray) -> bool:
    """Whether a picture is as MNIST's are: 28x28, on black, ink 20 pixels long, its mass in the middle."""
    if picture.shape != (SIZE, SIZE) or picture.max() < 128:
        return False
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    y, x = centre_of_mass(picture)
    return abs(longest - INK_SIZE) <= 1 and abs(x - SIZE / 2) <= 1.5 and abs(y - SIZE / 2) <= 1.5


def breadth(mask: np.ndarray) -> float:
    """Pixels across the strokes of a mask (H, W) bool; the mean distance to the edge of a strip is a quarter of it."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return float(4 * cv2.distanceTransform(padded, cv2.DIST_L2, 3)[padded > 0].mean() - 1)


def centre_of_mass(picture: np.ndarray) -> tuple[float, float]:
    """Centre of mass (y, x), in pixels from the upper left corner."""
    moments = cv2.moments(picture)
    return moments["m01"] / moments["m00"] + 0.5, moments["m10"] / moments["m00"] + 0.5


def _thicken(crop: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Draw a thin pen thicker. Returns the crop and by how many pixels it grew on each side."""
    missing = round(THIN * max(crop.shape) - breadth(mask))
    if missing < 1:
        return crop, 0
    grown = (missing + 1) // 2
    crop = np.pad(crop, grown)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (missing + 1, missing + 1))
    return cv2.dilate(crop, kernel), grown


def _centre(small: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Place the ink in 28x28 with its centre of mass in the middle, all of it inside. Returns also its corner."""
    height, width = small.shape
    y, x = centre_of_mass(small)
    top = int(np.clip(round(SIZE / 2 - y), 0, SIZE - height))
    left = int(np.clip(round(SIZE / 2 - x), 0, SIZE - width))
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[top : top + height, left : left + width] = small
    return image, left, top
