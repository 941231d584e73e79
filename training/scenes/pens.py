"""What one sign looks like that somebody wrote, drawn with any pen."""

import math
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.data.strokes import Strokes

# The typefaces that come with matplotlib.
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSansMono.ttf",
    "DejaVuSans-Bold.ttf",
    "cmr10.ttf",
    "STIXGeneral.ttf",
)
WIDEST = 2.5  # heights: a dash is no sign as broad as a page
SUBPIXEL = 4  # bits after the point of a coordinate that OpenCV draws


def slant(generator: np.random.Generator) -> np.ndarray:
    """A matrix (2, 2) that slants and turns."""
    slant, turn = generator.normal(0, 0.15), np.radians(generator.normal(0, 5))
    return np.array([[1, -slant], [0, 1]]) @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]


def trace(
    strokes: Strokes,
    row: int,
    height: float,
    pen: float,
    matrix: np.ndarray,
    straight: float = 0.0,
    widest: float = WIDEST,
) -> np.ndarray:
    """Sample `row` drawn with a pen of `pen` pixels, `height` pixels high but at most `widest` heights wide: uint8.

    matrix: how it is slanted; straight: by how much of the height straight lines may leave its curves.
    """
    bounds = strokes.stroke[strokes.sample[row] : strokes.sample[row + 1] + 1]
    points = strokes.points[bounds[0] : bounds[-1]].astype(np.float64) @ matrix.T
    low = points.min(0)
    extent = points.max(0) - low
    room = max(height - pen, 1)
    fit = room / max(extent[1], extent[0] / widest, 1)
    margin = math.ceil(pen / 2) + 1
    fixed = np.round(((points - low) * fit + margin) * (1 << SUBPIXEL)).astype(np.int32)
    lines = [fixed[[a, *range(a, b)]] for a, b in zip(bounds[:-1] - bounds[0], bounds[1:] - bounds[0], strict=True)]
    if straight:
        lines = [cv2.approxPolyDP(line, straight * height * (1 << SUBPIXEL), False) for line in lines]
    width, tall = np.ceil(extent * fit).astype(int) + 2 * margin
    ink = np.zeros((tall, width), np.uint8)
    cv2.polylines(ink, lines, False, 255, max(1, round(pen)), cv2.LINE_AA, SUBPIXEL)
    return ink


def curve(ink: np.ndarray, points: np.ndarray, thick: int, level: int = 255) -> None:
    """Draw a line through points (P, 2), x and y in pixels, `thick` pixels broad, into ink (H, W) uint8."""
    fixed = np.round(points * (1 << SUBPIXEL)).astype(np.int32)
    cv2.polylines(ink, [fixed], False, level, thick, cv2.LINE_AA, SUBPIXEL)


def bitmap(image: np.ndarray, height: float, pen: float) -> np.ndarray:
    """One of MNIST's digits (28, 28) uint8, its ink `height` pixels high, with sharp edges: (h, w) uint8."""
    rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
    crop = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    fit = height / max(crop.shape[0], crop.shape[1] / WIDEST)
    size = [max(1, round(side * fit)) for side in reversed(crop.shape)]
    large = cv2.resize(np.pad(crop, 1), [side + round(2 * fit) for side in size], interpolation=cv2.INTER_CUBIC)
    if fit > 1.5:
        large = cv2.GaussianBlur(large, (0, 0), 0.35 * fit)
        level = np.clip(127 + 90 * (0.12 - pen) / 0.12, 60, 190)  # less of it is a broader pen
        slope = max(fit / 2, 127 / level)  # what is empty stays empty
        large = ((large.astype(np.float32) - level) * slope + 127).clip(0, 255).astype(np.uint8)
    return large


def typed(sign: str, face: str, height: float, bold: float) -> np.ndarray:
    """A sign of a typeface, `height` pixels high before its strokes grow broader by `bold` heights: (h, w) uint8."""
    letters = font(face, round(2 * height))
    left, top, right, bottom = (round(side) for side in letters.getbbox(sign))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), sign, 255, letters)
    drawn = np.asarray(image)
    fit = height / max(drawn.shape[0], drawn.shape[1] / WIDEST)
    size = [max(1, round(side * fit)) for side in reversed(drawn.shape)]
    ink = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC)
    broader = round(bold * height) + 1
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (broader, broader))
    return cv2.dilate(np.pad(ink, broader), brush)


@cache
def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """One of FONTS; size: in pixels, of the whole line."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)
