"""A text in somebody's hand: marks apart, touching or joined, ringed, underlined or crossed out, and what they say."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from service.reading.line import CHARACTERS, OTHER
from training.scenes import texts
from training.scenes.hands import Hand, Signs

Generator = np.random.Generator
WIDE_GAP = 0.8, 2.2  # heights: a space in a text
APART = 0.6  # of the height: other marks that stand further apart are labelled one by one
JOINED_ZEROS = 0.3  # of the runs of zeros are one stroke
SMALL = ".,-:"
RING, UNDERLINE, CROSSED, LIGATURES = 0.07, 0.06, 0.02, 0.12  # of the lines


@dataclass
class Mark:
    ink: np.ndarray  # (h, w) uint8
    text: str
    middle: float  # heights from the top of the digits
    gap: float | None  # heights before it; None for as near as the hand's marks stand
    x: int = 0
    y: int = 0


def written(text: str, signs: Signs, height: float, generator: Generator) -> tuple[Hand, list[Mark], np.ndarray, str]:
    """A text in some hand, digits `height` pixels high: the hand, its marks, all ink (H, W) uint8, its label."""
    hand = Hand(signs, generator)
    marks = _marks(text, hand, height, generator)
    _place(marks, height, generator)
    return hand, marks, *_drawn(marks, hand, height, generator)


def _marks(text: str, hand: Hand, height: float, g: Generator) -> list[Mark]:
    marks: list[Mark] = []
    gap: float | None = None
    small = g.random() < 0.04 and text.isdigit() and len(text) > 3  # cents, small and raised
    at = 0
    while at < len(text):
        sign = text[at]
        tall = height * g.uniform(0.85, 1.12)
        count = 1
        if sign == " ":
            gap = g.uniform(*WIDE_GAP)
            at += 1
            continue
        if sign == texts.NUMBER:
            ink, label = hand.number(tall)
            mark = Mark(ink, label, 0.5, gap)
        else:
            zeros = len(text[at:]) - len(text[at:].lstrip("0"))
            if zeros > 1 and not hand.is_typed and g.random() < JOINED_ZEROS:
                count = min(zeros, 4)
                mark = Mark(hand.zeros(count, tall), "0" * count, 0.5 + g.normal(0, 0.03), gap)
            else:
                ink, middle = hand.draw(sign, tall * (0.6 if small and at >= len(text) - 2 else 1))
                middle = 0.25 if small and at >= len(text) - 2 else middle
                mark = Mark(ink, sign if sign in CHARACTERS else OTHER, middle, gap)
        marks.append(mark)
        gap = None
        at += count
    return marks


def _place(marks: list[Mark], height: float, g: Generator) -> None:
    """Give each mark its place: x from 0 on; y from the top of the digits, which may be negative."""
    slope, drift = g.normal(0, 0.03), abs(g.normal(0, 0.05))
    kind = g.random()
    low, high = (
        (0.3, 1.0)
        if kind < 0.12
        else (0.06, 0.3)
        if kind < 0.5
        else (-0.04, 0.1)
        if kind < 0.62
        else ((0.0, 0.12) if kind < 0.78 else (-0.14, 0.0))
    )
    by_contour = kind >= 0.62
    common = g.uniform(low, high)
    room = int(4 * height)
    reached = np.full(room, -(10**6), np.int64)  # how far right ink reaches in each row, with row 0 at -1.5 heights
    end = 0
    for number, mark in enumerate(marks):
        tall, wide = mark.ink.shape
        wanted = (mark.middle + g.normal(0, drift)) * height - tall / 2 + slope * end
        top = int(np.clip(wanted + 1.5 * height, 1, max(room - tall - 1, 1)))
        rows = min(tall, room - top)
        dark = mark.ink[:rows] > 90
        some = dark.any(1)
        left = np.where(some, dark.argmax(1), 10**6)
        gap = mark.gap if mark.gap is not None else (g.uniform(low, high) if g.random() < 0.5 else common)
        # A point under the arm of a 7 would be lost.
        small = number > 0 and any(sign in SMALL for sign in (mark.text, marks[number - 1].text))
        if small and mark.gap is None:
            gap = max(gap, g.uniform(-0.02, 0.1))
        if number == 0:
            x = 0
        elif by_contour and mark.gap is None and not small:
            near = reached[top - 1 : top + rows + 1]
            near = np.maximum(np.maximum(near[:-2], near[2:]), near[1:-1])
            free = int((left - near[:rows]).min())
            x = int(gap * height) - free + 1 if free < 10**5 else end + int(max(gap, 0) * height)
            x = max(x, end - int(0.7 * wide), 0)
        else:
            x = max(end + int(gap * height), 0)
        mark.x, mark.y = x, top - int(1.5 * height)
        own = np.where(some, x + wide - dark[:, ::-1].argmax(1), -(10**6))
        reached[top : top + rows] = np.maximum(reached[top : top + rows], own)
        end = max(end, x + wide) if not by_contour else x + wide


def _drawn(marks: list[Mark], hand: Hand, height: float, g: Generator) -> tuple[np.ndarray, str]:
    """All ink on one sheet (H, W), with what is drawn around it and through it, and the line's text."""
    side, above = int(1.3 * height) + 4, int(0.75 * height) + 4
    top, bottom = min(m.y for m in marks), max(m.y + m.ink.shape[0] for m in marks)
    right = max(m.x + m.ink.shape[1] for m in marks)
    ink = np.zeros((bottom - top + 2 * above, right + 2 * side), np.uint8)
    for mark in marks:
        mark.x, mark.y = mark.x + side, mark.y - top + above
        there = ink[mark.y : mark.y + mark.ink.shape[0], mark.x : mark.x + mark.ink.shape[1]]
        np.maximum(there, mark.ink, out=there)
    pen = max(1, round(hand.pen_width(height) * g.uniform(0.7, 1.2)))
    if not hand.is_typed and len(marks) > 1 and g.random() < LIGATURES:
        for one, other in zip(marks, marks[1:], strict=False):
            if g.random() < 0.5 and other.x - one.x - one.ink.shape[1] < 0.3 * height:
                _joined(ink, one, other, pen, g)
    label = _label(marks, height)
    kind = g.random()
    if kind < RING:
        _ring(ink, marks, pen, height, g)
    elif kind < RING + UNDERLINE:
        y = bottom - top + above + g.uniform(-0.08, 0.25) * height
        for _ in range(1 if g.random() < 0.75 else 2):
            start, stop = side + g.uniform(-0.3, 0.2) * height, right + side + g.uniform(-0.2, 0.3) * height
            stroke(ink, (start, y), (stop, y + g.normal(0, 0.06) * height), pen)
            y += g.uniform(0.12, 0.25) * height
    elif kind < RING + UNDERLINE + CROSSED and label != "-":
        for _ in range(int(g.integers(1, 4))):
            y0, y1 = above + (bottom - top) * g.uniform(0.2, 0.8, 2)
            stroke(ink, (side - 0.2 * height, y0), (right + side + 0.2 * height, y1), max(pen, 2))
        label = OTHER
    return ink, label


def _ring(ink: np.ndarray, marks: list[Mark], pen: int, height: float, g: Generator) -> None:
    """A ring or a box around one mark, or around all of a short line."""
    digits = [mark for mark in marks if mark.text.isdigit()]
    chosen = marks if len(marks) < 4 or not digits else [digits[int(g.integers(len(digits)))]]
    x0, y0 = min(m.x for m in chosen), min(m.y for m in chosen)
    x1, y1 = max(m.x + m.ink.shape[1] for m in chosen), max(m.y + m.ink.shape[0] for m in chosen)
    pad = height * g.uniform(0.15, 0.5)
    if g.random() < 0.2:  # a box by hand
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]) + pad * np.array(
            [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]
        )
        corners = corners + g.normal(0, 0.05 * height, (5, 2))
        cv2.polylines(ink, [np.round(corners * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4)
        return
    centre, axes = np.array([x0 + x1, y0 + y1]) / 2, np.array([x1 - x0, y1 - y0]) * 0.6 + pad
    angle = np.linspace(0, 2 * np.pi * g.uniform(0.9, 1.1), 40) + g.uniform(0, 2 * np.pi)
    wobble = 1 + g.uniform(0, 0.06) * np.sin(angle * 2 + g.uniform(0, 6))
    points = centre + np.stack([np.cos(angle), np.sin(angle)], 1) * axes * wobble[:, None]
    cv2.polylines(ink, [np.round(points * 16).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4)


def _label(marks: list[Mark], height: float) -> str:
    """The marks from left to right; other marks side by side are one."""
    ordered = sorted(marks, key=lambda mark: mark.x + mark.ink.shape[1] / 2)
    text, end = "", -math.inf
    for mark in ordered:
        if not (mark.text == OTHER and text.endswith(OTHER) and mark.x - end < APART * height):
            text += mark.text
        end = mark.x + mark.ink.shape[1]
    return text


def _joined(ink: np.ndarray, one: Mark, other: Mark, pen: int, generator: Generator) -> None:
    """A stroke from one mark's right side to the next one's left side."""
    y = int(generator.integers(one.ink.shape[0]))
    across = np.flatnonzero(one.ink[y] > 90)
    v = int(np.clip(y + one.y - other.y + generator.normal(0, 2), 0, other.ink.shape[0] - 1))
    there = np.flatnonzero(other.ink[v] > 90)
    if len(across) and len(there):
        stroke(ink, (one.x + across[-1], one.y + y), (other.x + there[0], other.y + v), pen)


def stroke(layer: np.ndarray, start: tuple[float, float], stop: tuple[float, float], thick: int) -> None:
    """A straight stroke on a layer (H, W) uint8."""
    ends = [(round(float(x) * 16), round(float(y) * 16)) for x, y in (start, stop)]
    cv2.line(layer, ends[0], ends[1], 255, thick, cv2.LINE_AA, 4)
