"""MNIST-C's corruptions of MNIST's images, from the definitions of Mu and Gilmer, https://arxiv.org/abs/1906.02337.

Each takes an image (28, 28) float32, 0 background to 1 ink, and a generator, and returns the same form; values beyond 0
to 1 are clipped afterwards. The strengths are the paper's.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

Generator = np.random.Generator

SIDE = 28
FADES = 2.3  # pixels from the middle of a drawn line to where it has faded to nothing


def identity(image: np.ndarray, g: Generator) -> np.ndarray:
    return image


def shot_noise(image: np.ndarray, g: Generator) -> np.ndarray:
    return g.poisson(image * 3) / 3


def impulse_noise(image: np.ndarray, g: Generator) -> np.ndarray:
    return np.where(g.random(image.shape) < 0.17, g.integers(0, 2, image.shape), image)


def glass_blur(image: np.ndarray, g: Generator) -> np.ndarray:
    """Neighbours change places twice, between two blurs."""
    found = _blurred(image, 0.7)
    for _ in range(2):
        for y in range(SIDE - 1, 1, -1):
            for x in range(SIDE - 1, 1, -1):
                if g.random() < 0.5:
                    dy, dx = g.integers(-1, 1, 2)
                    found[y, x], found[y + dy, x + dx] = found[y + dy, x + dx], found[y, x]
    return _blurred(found, 0.7)


def motion_blur(image: np.ndarray, g: Generator) -> np.ndarray:
    """One half of a Gaussian of three pixels, ten pixels long, along a line of up to 45 degrees."""
    angle = math.radians(g.uniform(-45, 45))
    weights = np.exp(-(np.arange(21) ** 2) / (2 * 3**2))
    kernel = np.zeros((43, 43), np.float32)
    for away, weight in enumerate(weights / weights.sum()):
        kernel[round(21 + away * math.sin(angle)), round(21 + away * math.cos(angle))] += weight
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def shear(image: np.ndarray, g: Generator) -> np.ndarray:
    amount = 0.4 * g.choice([-1, 1])
    return _moved(image, [[1, -math.sin(amount)], [0, math.cos(amount)]])


def scale(image: np.ndarray, g: Generator) -> np.ndarray:
    return _moved(image, [[1 / 0.7, 0], [0, 1 / 0.7]])


def rotate(image: np.ndarray, g: Generator) -> np.ndarray:
    angle = 0.4 * g.choice([-1, 1])
    return _moved(image, [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def brightness(image: np.ndarray, g: Generator) -> np.ndarray:
    return image + 0.5


def translate(image: np.ndarray, g: Generator) -> np.ndarray:
    return _moved(image, [[1, 0], [0, 1]], 3 * g.choice([-1, 1], 2))


def stripe(image: np.ndarray, g: Generator) -> np.ndarray:
    outer = np.abs(np.arange(SIDE) - 13.5) > 7
    return np.where(outer, 1 - image, image)


def fog(image: np.ndarray, g: Generator) -> np.ndarray:
    """Clouds from the diamond-square algorithm, whose steps differ less by 1.4 at each smaller scale."""
    side, wibble = 256, 1e4
    clouds = np.zeros((side, side))
    step = side
    while step >= 2:
        half = step // 2

        def between(total: np.ndarray, most: float) -> np.ndarray:
            return total / 4 + most * g.uniform(-1, 1, total.shape)

        corners = clouds[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        clouds[half::step, half::step] = between(pairs + np.roll(pairs, -1, 1), wibble)
        middles = clouds[half::step, half::step]
        clouds[::step, half::step] = between(
            middles + np.roll(middles, 1, 0) + corners + np.roll(corners, -1, 1), wibble
        )
        clouds[half::step, ::step] = between(
            middles + np.roll(middles, 1, 1) + corners + np.roll(corners, -1, 0), wibble
        )
        step, wibble = half, wibble / 1.4**2
    clouds = (clouds - clouds.min()) / np.ptp(clouds)
    most = image.max()
    return (image + 3 * clouds[:SIDE, :SIDE]) * most / (most + 3)


def spatter(image: np.ndarray, g: Generator) -> np.ndarray:
    liquid = _blurred(g.normal(0.65, 0.3, image.shape), 1)
    mud = _blurred((liquid > 0.65).astype(float), 1.5)
    mud[mud < 0.8] = 0
    return image * (1 - mud) + 63 / 255 * mud


def dotted_line(image: np.ndarray, g: Generator) -> np.ndarray:
    y0, y1 = g.integers(0, SIDE - 1, 2)
    line = _line(0, y0, SIDE - 1, y1)
    line[:, np.arange(SIDE) % 4 < 2] = 0
    return image + line


def zigzag(image: np.ndarray, g: Generator) -> np.ndarray:
    """Strokes of two pixels up and two down, along a nearly level line."""
    x0, x1, y0 = 2, 25, g.integers(0, SIDE - 1)
    theta = math.atan2(g.integers(-5, 5), x1 - x0)
    length = (x1 - x0) / math.cos(theta)
    along = np.array([0, *np.arange(2, length, 4), length])
    away = np.array([0, *(2 * (-1) ** np.arange(len(along) - 2)), 0])
    x = x0 + along * math.cos(theta) - away * math.sin(theta)
    y = y0 + along * math.sin(theta) + away * math.cos(theta)
    for i in range(len(x) - 1):
        image = (image + _line(x[i], y[i], x[i + 1], y[i + 1])).clip(0, 1)
    return image


def canny_edges(image: np.ndarray, g: Generator) -> np.ndarray:
    """Canny's edges (https://doi.org/10.1109/TPAMI.1986.4767851), the image blurred by one pixel before."""
    soft = (_blurred(image, 1) * 255).round().astype(np.uint8)
    return cv2.Canny(soft, 50, 100, L2gradient=True) / 255


CORRUPTIONS: list[Callable[[np.ndarray, Generator], np.ndarray]] = [
    *(identity, shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate),
    *(stripe, fog, spatter, dotted_line, zigzag, canny_edges),
]


def corrupted(images: np.ndarray, corruption: Callable[..., np.ndarray], seed: int) -> np.ndarray:
    """Images (N, 28, 28) uint8 after a corruption, the same form."""
    generator = np.random.default_rng(seed)
    made = [corruption((image / 255).astype(np.float32), generator) for image in images]
    return (np.stack(made).clip(0, 1) * 255).astype(np.uint8)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _moved(image: np.ndarray, matrix: list[list[float]], shift: np.ndarray | None = None) -> np.ndarray:
    """The image (H, W) whose pixel (x, y) is the old one at matrix * (x, y) + shift; the middle stays without shift."""
    turn = np.array(matrix)
    offset = 13.5 - turn @ (13.5, 13.5) + (np.zeros(2) if shift is None else shift)
    return cv2.warpAffine(
        image, np.hstack([turn, offset[:, None]]), (SIDE, SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )


def _line(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """A soft line from the left to the right, (28, 28)."""
    if x0 == x1:
        return np.zeros((SIDE, SIDE))
    x, y = np.arange(SIDE)[None], np.arange(SIDE)[:, None]
    away = np.abs(y - y0 - (y1 - y0) / (x1 - x0) * (x - x0)).clip(0, FADES - 1e-10)
    inside = (x >= math.floor(x0)) & (x < math.ceil(x1))
    return (np.log(1 - away / FADES) + 1).clip(0, 1) * inside
