"""What handwriting stands on: blank paper and a pen on it, in grey levels."""

import math

import cv2
import numpy as np

Generator = np.random.Generator
FAINTEST = 0.12  # of the paper's level: the contrast of the faintest pencil


def sheet(shape: tuple[int, int], generator: Generator) -> np.ndarray:
    """Blank paper (H, W) float32: a level, light from one side, cloudiness and grain."""
    height, width = shape
    level = 255.0 if generator.random() < 0.1 else generator.uniform(110, 252)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    angle, strength = generator.uniform(0, 2 * np.pi), generator.uniform(0, 0.5) * (generator.random() < 0.7)
    light = 1 - strength * (x * np.cos(angle) + y * np.sin(angle) + generator.uniform(0, 0.5) * (x * x + y * y))
    page = level * light
    if generator.random() < 0.4:
        page *= 1 + generator.uniform(0.01, 0.12) * noise(shape, generator.uniform(4, 60), generator)
    if generator.random() < 0.6:
        page += generator.uniform(1, 9) * noise(shape, generator.uniform(0.4, 2.5), generator)
    return page.astype(np.float32)


def noise(shape: tuple[int, int], scale: float, generator: Generator) -> np.ndarray:
    """Smooth noise (H, W) float32 of deviation 1, its clouds about `scale` pixels wide."""
    shrink = max(1.0, scale / 2)
    small = [max(2, math.ceil(side / shrink)) for side in shape]
    values = generator.standard_normal(small, np.float32)
    values = cv2.GaussianBlur(values, (0, 0), max(0.3, scale / shrink / 2))
    values = cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return values / max(float(values.std()), 1e-6)


def with_ink(page: np.ndarray, ink: np.ndarray, generator: Generator) -> np.ndarray:
    """A pen of any darkness, its ink uneven; on a board, chalk instead."""
    covered = ink.astype(np.float32) / 255
    if generator.random() < 0.3:  # a pencil, a dry pen
        covered *= (
            1 - generator.uniform(0.1, 0.5) * np.abs(noise(page.shape, generator.uniform(0.8, 6), generator))
        ).clip(0, 1)
    strength = np.float32(FAINTEST ** generator.uniform() if generator.random() < 0.4 else generator.uniform(0.7, 1.0))
    return page * (1 - strength * covered)
