"""What is on a sheet beside handwriting: rules, squares, forms, print, patterns, or things that are no writing."""

import math
import string

import cv2
import numpy as np
from PIL import Image, ImageDraw

from training.scenes.paper import Generator, noise
from training.scenes.pens import FONTS, curve, font

Boxes = list[np.ndarray]  # (4,) each: x_min, y_min, x_max, y_max of what is written
LARGEST_PRINT = 24  # pixels: a large typed digit is to be read, small print around it is not
EMPTY = 2.5  # times as often is there something printed on a sheet without writing: it must not be taken for any
SEVERAL = 4  # a grid shows at least as many rows, a form has room for as many: a straight line alone is written


def on_paper(page: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> np.ndarray:
    """Paper with what is printed on it: rules, squares, boxes of a form, text, patterns; often nothing.

    boxes: of what will be written, (4,) each; height: of a written sign, in pixels.
    """
    layer = np.zeros(page.shape, np.uint8)
    drawn = False
    for add, share in KINDS:
        if generator.random() < share * (1 if boxes else EMPTY):
            add(layer, boxes, height, generator)
            drawn = True
    if not drawn:
        return page
    strength = np.float32(generator.uniform(0.12, 0.6))
    return page * (1 - strength * layer / np.float32(255))


def _rules(layer: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> None:
    """Lines across, whole, dashed or dotted."""
    size = max(layer.shape)
    spacing, angle = max(6.0, height * generator.uniform(0.5, 2.0)), generator.normal(0, 0.02)
    thick = int(generator.integers(1, 2 + max(1, round(height / 40))))
    start = generator.uniform(0, spacing)
    kind = generator.choice(["line", "line", "dashed", "dotted"])
    one = generator.random() < 0.15
    period = generator.uniform(3, 12) * thick
    while start < 1.2 * size:
        x = np.array([-10.0, size + 10.0])
        y = start + angle * x
        if kind == "line":
            _line(layer, (x[0], y[0]), (x[1], y[1]), thick)
        else:
            filled = period * (0.5 if kind == "dashed" else 0.0)
            for at in np.arange(0, size, period):
                _line(layer, (at, start + angle * at), (at + filled, start + angle * (at + filled)), thick)
        start += spacing
        if one:
            break


def _squares(layer: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> None:
    size = max(layer.shape)
    spacing = max(5.0, min(height * generator.uniform(0.25, 1.2), size / SEVERAL))
    turn = generator.normal(0, 0.03)
    thick = 1 if height < 50 else int(generator.integers(1, 3))
    for at in np.arange(generator.uniform(0, spacing), 1.1 * size, spacing):
        _line(layer, (-10, at - 10 * turn), (size, at + turn * size), thick)
        _line(layer, (at + 10 * turn, -10), (at - turn * size, size), thick)


def _line(layer: np.ndarray, start: tuple[float, float], stop: tuple[float, float], thick: int) -> None:
    one, other = ((round(x * 16), round(y * 16)) for x, y in (start, stop))
    cv2.line(layer, one, other, 255, thick, cv2.LINE_AA, 4)


def _form(layer: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> None:
    """Boxes around what is written, one each or one for a row, or a comb, often crossed by the writing."""
    size = max(layer.shape)
    if height > size / SEVERAL:
        if boxes:
            return
        height = generator.uniform(0.05, 1 / SEVERAL) * size
    thick = int(generator.integers(1, 2 + max(1, round(height / 30))))
    if not boxes or generator.random() < 0.25:  # a table of empty cells
        w, h = height * generator.uniform(0.6, 3), height * generator.uniform(0.8, 2)
        left, top = generator.uniform(0, size / 2, 2)
        columns, rows = generator.integers(1, (12, 8))
        if generator.random() < 0.5:  # cells that stand apart
            gap = generator.uniform(0.02, 0.5) * height
            for row, column in np.ndindex(rows, columns):
                x, y = left + column * (w + gap), top + row * (h + gap)
                cv2.rectangle(layer, (round(x), round(y)), (round(x + w), round(y + h)), 255, thick, cv2.LINE_AA)
            return
        for i in range(columns + 1):
            _line(layer, (left + i * w, top), (left + i * w, top + rows * h), thick)
        for i in range(rows + 1):
            _line(layer, (left, top + i * h), (left + columns * w, top + i * h), thick)
        return
    many = np.array(boxes)
    each = generator.random() < 0.5
    pad = height * generator.uniform(-0.05, 0.35)
    if not each:
        low, high = many[:, :2].min(0), many[:, 2:].max(0)
        many = np.array([[*low, *high]])
    comb = generator.random() < 0.15
    for x0, y0, x1, y1 in many:
        x0, y0, x1, y1 = x0 - pad, y0 - pad, x1 + pad, y1 + pad
        if comb:  # a base line with short teeth
            _line(layer, (x0, y1), (x1, y1), thick)
            for x in (x0, x1):
                _line(layer, (x, y1 - 0.4 * height), (x, y1), thick)
        else:
            cv2.rectangle(layer, (round(x0), round(y0)), (round(x1), round(y1)), 255, thick, cv2.LINE_AA)


def text(layer: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> None:
    """Words of a printed form, beside the writing, most of them smaller."""
    picture = Image.fromarray(layer)
    pen = ImageDraw.Draw(picture)
    for _ in range(int(generator.integers(1, 9))):
        size = int(np.clip(height * generator.uniform(0.2, 0.7), 6, LARGEST_PRINT))
        letters = list(string.ascii_letters + "     .,:/-()" + (string.digits if generator.random() < 0.3 else ""))
        words = "".join(generator.choice(letters, int(generator.integers(3, 30))))
        x, y = generator.uniform(-0.1, 0.9, 2) * layer.shape[::-1]
        box = np.array(pen.textbbox((x, y), words, font(str(generator.choice(FONTS)), size)))
        if any((box[:2] < other[2:]).all() and (box[2:] > other[:2]).all() for other in boxes):
            continue
        pen.text((x, y), words, 255, font(str(generator.choice(FONTS)), size))
    layer[:] = np.asarray(picture)


def waves(layer: np.ndarray, boxes: Boxes, height: float, generator: Generator) -> None:
    """A guilloche: families of thin waves, as on cheques and banknotes."""
    size = max(layer.shape)
    x = np.arange(-4, size + 4, 3.0)
    for _ in range(int(generator.integers(1, 4))):
        count, gap = int(generator.integers(6, 40)), generator.uniform(3, 14)
        period, swing = generator.uniform(20, 250), generator.uniform(2, 40)
        centre, slope, drift = generator.uniform(0, size), generator.normal(0, 0.4), generator.uniform(0, 0.4)
        for i in range(count):
            y = centre + slope * x + gap * (i - count / 2) + swing * np.sin(2 * np.pi * x / period + drift * i)
            curve(layer, np.stack([x, y], 1), 1, int(generator.integers(90, 256)))


KINDS = (_rules, 0.2), (_squares, 0.1), (_form, 0.14), (text, 0.12), (waves, 0.1)  # and how often each is there


def things(page: np.ndarray, generator: Generator) -> np.ndarray:
    """What is no writing but may be taken for it: filled shapes, bars, rims, textures, blobs of light."""
    page = page.copy()
    size = max(page.shape)
    kind = generator.random()
    if kind < 0.2:
        return page
    if kind < 0.45:  # a texture, or a scene out of focus
        for scale in (40, 12, 4, 1.5):
            if generator.random() < 0.6:
                page += generator.uniform(4, 45) * noise(page.shape, scale * generator.uniform(0.5, 2), generator)
        if generator.random() < 0.4:
            light = noise(page.shape, generator.uniform(5, 60), generator) > 0.3
            page = np.where(light, page, page * generator.uniform(0.2, 0.8))
        return page.astype(np.float32)
    for _ in range(int(generator.integers(1, 7))):
        shade = float(generator.uniform(0, 255))
        x, y = (generator.uniform(0, 1, 2) * size).astype(int)
        radius = int(size * math.exp(generator.uniform(math.log(0.01), math.log(0.5))))
        shape = generator.integers(4)
        if shape == 0:
            cv2.circle(page, (int(x), int(y)), radius, shade, -1, cv2.LINE_AA)
        elif shape == 1:
            angle, axes = generator.uniform(0, 360), (radius, max(2, int(radius * generator.uniform(0.3, 1))))
            cv2.ellipse(page, (int(x), int(y)), axes, angle, 0, 360, shade, -1, cv2.LINE_AA)
        elif shape == 2:  # a polygon, often a star
            corners = int(generator.integers(3, 12))
            turn = generator.uniform(0, 2 * np.pi) + np.arange(corners) * 2 * np.pi / corners
            reach = radius * np.where(np.arange(corners) % 2, generator.uniform(0.3, 1), 1.0)
            points = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], 1).round().astype(np.int32)
            cv2.fillPoly(page, [points], shade, cv2.LINE_AA)
        else:  # the edge of something that reaches beyond the picture
            angle = generator.uniform(0, 2 * np.pi)
            yy, xx = np.mgrid[: page.shape[0], : page.shape[1]]
            page[(xx - x) * np.cos(angle) + (yy - y) * np.sin(angle) > 0] *= np.float32(generator.uniform(0.2, 0.9))
    return page
