"""What a camera, a table and a hand that holds it make of a sheet."""

import math

import cv2
import numpy as np

from training.scenes.paper import Generator, noise, sheet

CLEAN = 0.18  # of the pictures are drawn on a screen or scanned: nothing is added to them
COARSE = 0.25  # of the pictures had fewer pixels once


def photographed(page: np.ndarray, ink: np.ndarray, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """What a camera makes of a sheet (H, W) float32 with ink (H, W) uint8: both as seen, (H, W) uint8."""
    shape, dice = page.shape, generator.random
    clean = dice() < CLEAN
    if not clean:
        if dice() < 0.1:
            _fold(page, generator)
        if dice() < 0.12:  # stains
            stain = noise(shape, generator.uniform(15, 60), generator) > generator.uniform(1, 2)
            page *= 1 - generator.uniform(0.05, 0.3) * stain
        if dice() < 0.12:
            _specks(page, generator)
    if dice() < (0.5 if clean else 0.15):  # a board: what was dark is light
        page = 255 - page * generator.uniform(0.6, 1.0)
    if not clean:
        if dice() < 0.25:
            page, ink = _on_table(page, ink, generator)
        if dice() < 0.3:
            page = page * _shadow(shape, generator)
        if dice() < 0.35:
            page = cv2.GaussianBlur(page, (0, 0), math.exp(generator.uniform(math.log(0.4), math.log(4.0))))
    if dice() < COARSE:
        page = _coarse(page, generator)
    if clean:
        return page.clip(0, 255).astype(np.uint8), ink
    page = page * generator.uniform(0.6, 1.05) + generator.uniform(0, 30)
    if dice() < 0.7:
        page = page + generator.uniform(0.5, 8) * generator.standard_normal(shape, np.float32)
    picture = page.clip(0, 255).astype(np.uint8)
    if dice() < 0.5:
        _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(25, 95))])
        picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    return picture, ink


def on_screen(page: np.ndarray, generator: Generator) -> np.ndarray:
    """A drawing (H, W) float32 as a program saves it, (H, W) uint8: mostly with fewer pixels, often light on dark."""
    if generator.random() < 0.7:
        page = _coarse(page, generator)
    if generator.random() < 0.4:  # without grey levels between
        page = np.where(page < (page.min() + page.max()) / 2, page.min(), page.max())
    if generator.random() < 0.5:
        page = 255 - page
    if generator.random() < 0.5:  # pure black and white
        page = (page - page.min()) * (255 / max(float(np.ptp(page)), 1))
    return page.clip(0, 255).astype(np.uint8)


def _coarse(page: np.ndarray, generator: Generator) -> np.ndarray:
    """The page with fewer pixels, enlarged again."""
    height, width = page.shape
    factor = math.exp(generator.uniform(math.log(0.08), math.log(0.6)))
    small = cv2.resize(page, (round(factor * width), round(factor * height)), interpolation=cv2.INTER_AREA)
    way = cv2.INTER_NEAREST if generator.random() < 0.3 else cv2.INTER_CUBIC
    return cv2.resize(small, (width, height), interpolation=way)


def _fold(page: np.ndarray, generator: Generator) -> None:
    height, width = page.shape
    across = generator.random() < 0.5
    at = generator.uniform(0.1, 0.9) * (height if across else width)
    distance = np.arange(height if across else width, dtype=np.float32) - at
    shade = 1 - generator.uniform(0.05, 0.4) * np.exp(-np.abs(distance) / generator.uniform(2, 6))
    shade = shade * np.where(distance > 0, generator.uniform(0.85, 1.0), 1)
    page *= shade[:, None] if across else shade[None]


def _specks(page: np.ndarray, generator: Generator) -> None:
    for _ in range(int(generator.integers(3, 40))):
        x, y = (generator.uniform(0, 1, 2) * page.shape[::-1]).astype(int)
        radius = int(generator.integers(1, 3 + page.shape[0] // 100))
        cv2.circle(page, (int(x), int(y)), radius, float(generator.uniform(20, 120)), -1, cv2.LINE_AA)


def _shadow(shape: tuple[int, int], generator: Generator) -> np.ndarray:
    """The shade of a hand or a phone: beyond a line, or in a blob."""
    dark = generator.uniform(0.15, 0.65)
    if generator.random() < 0.6:
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        angle, sharp = generator.uniform(0, 2 * np.pi), math.exp(generator.uniform(math.log(0.8), math.log(30)))
        x0, y0 = generator.uniform(0, shape[1]), generator.uniform(0, shape[0])
        across = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        return 1 - dark / (1 + np.exp((across / sharp).clip(-30, 30)))
    blob = (noise(shape, generator.uniform(30, 120), generator) > generator.uniform(0, 1.2)).astype(np.float32)
    return 1 - dark * cv2.GaussianBlur(blob, (0, 0), math.exp(generator.uniform(0, math.log(12))))


def _on_table(page: np.ndarray, ink: np.ndarray, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """The sheet, turned and smaller, on a table that is darker or lighter."""
    height, width = page.shape
    scale, angle = generator.uniform(0.55, 1.0), generator.normal(0, 8)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += generator.uniform(-0.15, 0.15, 2) * (width, height)
    there = cv2.warpAffine(np.ones_like(page), matrix, (width, height))
    table = sheet(page.shape, generator) * generator.uniform(0.15, 0.9)
    if generator.random() < 0.5:
        table += generator.uniform(3, 25) * noise(page.shape, generator.uniform(2, 40), generator)
    moved = cv2.warpAffine(page, matrix, (width, height))
    edge = 1 - generator.uniform(0, 0.5) * (cv2.GaussianBlur(there, (0, 0), 3) - there).clip(0, 1)
    return moved * there + table * edge * (1 - there), cv2.warpAffine(ink, matrix, (width, height))
