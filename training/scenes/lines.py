"""Lines of writing on paper, made up: what the line recogniser learns from. Grey, with what is written known.

A line is a text (`training.scenes.texts`) in somebody's hand (`training.scenes.writing`). It stands in boxes, on rules,
on a guilloche, beside print and other lines. A camera blurs it, and it is cut out as the service cuts out a line whose
ink it has found, not always exactly.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from service.reading.line import HEIGHT, INK, MARGIN, OTHER, PAPER, levelled
from training.scenes import paper, printed, texts
from training.scenes.hands import Hand, Signs
from training.scenes.writing import stroke, written

Generator = np.random.Generator
SIZES = 17, 54  # pixels of a digit where the line is composed: fewer are blurred, more are sharp when they are shown
TURNED = 0.03  # of the lines are upside down, and as many single digits lie on their side
TELLING = "347"  # digits that are none upside down
SIDEWAYS = "2345679"  # and on their side
DIRT = 0.06  # of the lines
BESIDE = 0.25  # of the lines have another so near that it is seen
CHALK = 0.02  # of the lines are lighter than their paper, where the service did not notice
TIGHT = 0.15  # of the lines stand at the edge of their picture
TEXTURES = 0.5  # of the lines without writing are cut from photographs, where there are any
TILES, TILE = 120, (176, 640)  # sheets of paper to cut from, and their height and width


@dataclass(frozen=True)
class Line:
    grey: np.ndarray  # (HEIGHT, W) uint8, as `service.reading.line.levelled` leaves it
    text: str  # of CHARACTERS; other marks side by side are one


class Composer:
    """Makes lines by the writers of a split; the same generator makes the same."""

    def __init__(self, signs: Signs, generator: Generator, textures: np.ndarray | None = None) -> None:
        """textures: (N, side, side) uint8, photographs without writing; None for none."""
        self._signs, self._generator, self._textures = signs, generator, textures
        self._paper = [paper.sheet(TILE, generator) for _ in range(TILES)]
        self._noise = [paper.noise(TILE, scale, generator) for scale in (0.8, 1.2, 2, 3, 4, 6) for _ in range(3)]
        self._waves = []
        for _ in range(TILES // 4):
            layer = np.zeros(TILE, np.uint8)
            printed.waves(layer, [], 30, generator)
            self._waves.append(layer)
        self._others: list[np.ndarray] = []  # ink of earlier lines, for what stands beside

    def lines(self, count: int, seed: list[int], longest: int = texts.LONGEST) -> list[Line]:
        """Lines of at most `longest` characters; the same seed gives the same."""
        self._generator, self._others = np.random.default_rng(seed), []
        return [self.line(longest=longest) for _ in range(count)]

    def line(self, text: str | None = None, longest: int = 2 * texts.LONGEST) -> Line:
        """text: what is written; None for what people write, of at most `longest` characters."""
        g = self._generator
        height = math.exp(g.uniform(*np.log(SIZES)))
        if text is None:
            text = texts.text(g)
            if longest < texts.LONGEST and texts.NUMBER in text:  # which stands for any number of digits
                text = texts.digits(g)
            text = text[:longest].strip()
        turned = 0
        if g.random() < TURNED and any(sign in SIDEWAYS for sign in text):
            text, turned = g.choice([sign for sign in text if sign in SIDEWAYS]), int(g.choice([1, 3]))
        elif g.random() < 2 * TURNED and sum(sign in TELLING for sign in text) > 0.3 * len(text.replace(" ", "")) > 0.6:
            turned = 2
        if not text:
            return self._empty(height)
        hand, marks, ink, label = written(text, self._signs, height, g)
        if turned:
            ink, label = np.ascontiguousarray(np.rot90(ink, turned)), OTHER
        x0, y0, x1, y1 = _extent(ink)
        self._others = [*self._others[-40:], *(mark.ink for mark in marks[:3])]
        box = np.array([x0, y0, x1, y1], np.float32)
        ink = self._beside(ink, box, height)
        boxes = [np.array([m.x, m.y, m.x + m.ink.shape[1], m.y + m.ink.shape[0]], np.float32) for m in marks]
        page = self._on_paper(ink, boxes if not turned else [box], height, hand)
        return Line(self._shown(page, box, height), label)

    def _beside(self, ink: np.ndarray, box: np.ndarray, height: float) -> np.ndarray:
        """The ink with pieces of the lines above and below, and of a column beside, which are not read."""
        g = self._generator
        if len(self._others) < 10 or g.random() > BESIDE:
            return ink
        ink = ink.copy()
        x0, y0, x1, y1 = box
        above = g.random() < 0.5
        x = x0 - height * g.uniform(0, 1)
        edge = (y0 if above else y1) + (-1 if above else 1) * height * g.uniform(0.06, 0.3)
        while x < x1:
            other = self._others[int(g.integers(len(self._others)))]
            _stamp(ink, other, int(x), int(edge - other.shape[0]) if above else int(edge))
            x += other.shape[1] + height * g.uniform(0.05, 0.8)
        return ink

    # What it is written on

    def _empty(self, height: float) -> Line:
        """Paper with print or a form on it, or a photograph of something else: nothing to read, at its own scale."""
        g = self._generator
        shape = int(3 * height), int(height * g.uniform(3, 9))
        if self._textures is not None and g.random() < TEXTURES:
            picture = self._textures[int(g.integers(len(self._textures)))]
            side = int(g.integers(30, len(picture) + 1))
            left, top = g.integers(0, len(picture) - side + 1, 2)
            page = picture[top : top + side, left : left + side].astype(np.float32)
            high = side * g.uniform(0.3, 1)
            y = g.uniform(0, side - high)
            x = g.uniform(0, side / 3)
            box = np.array([x, y, g.uniform(x + 0.3 * (side - x), side), y + high], np.float32)
            return Line(self._shown(page, box, high), "")
        boxes: list[np.ndarray] = []
        x = 1.2 * height
        for _ in range(int(g.integers(1, 8))):
            boxes.append(np.array([x, height, x + g.uniform(0.5, 0.9) * height, 2 * height], np.float32))
            x += height * g.uniform(0.9, 1.3)
        shape = shape[0], max(shape[1], int(x + height))
        page = self._on_paper(np.zeros(shape, np.uint8), boxes, height, None)
        high = height * g.uniform(0.8, 1.5)
        y = g.uniform(0.3 * height, shape[0] - 0.3 * height - high)
        x = g.uniform(0.5, 2) * height
        return Line(
            self._shown(page, np.array([x, y, g.uniform(x + height, shape[1] - 2), y + high], np.float32), high), ""
        )

    def _on_paper(self, ink: np.ndarray, boxes: list[np.ndarray], height: float, hand: Hand | None) -> np.ndarray:
        """Paper (H, W) float32 with what is printed on it, and the ink; hand: None where there is no writing."""
        g = self._generator
        shape = ink.shape
        screen = hand is not None and g.random() < 0.12
        if screen:
            page = np.full(shape, g.uniform(170, 255), np.float32)
        else:
            page = _part(self._paper[int(g.integers(TILES))], shape, g)
            layer = self._printed(shape, boxes, height, often=hand is None)
            if layer is not None:
                page *= 1 - np.float32(g.uniform(0.1, 0.75) / 255) * layer
        if hand is None:
            return page
        covered = ink * np.float32(1 / 255)
        if not screen and g.random() < 0.3:  # a pencil, a dry pen
            grain = np.abs(_part(self._noise[int(g.integers(len(self._noise)))], shape, g))
            covered *= (1 - np.float32(g.uniform(0.1, 0.45)) * grain).clip(0, 1)
        strength = 0.15 ** g.uniform() if g.random() < 0.35 else g.uniform(0.65, 1.0)
        if not screen and g.random() < DIRT:
            for _ in range(int(g.integers(1, 6))):
                x, y = (g.uniform(0, 1, 2) * shape[::-1]).astype(int)
                cv2.circle(
                    page, (int(x), int(y)), int(g.integers(1, int(2 + height / 25))), float(g.uniform(20, 120)), -1
                )
        return page * (1 - np.float32(strength) * covered)

    def _printed(
        self, shape: tuple[int, int], boxes: list[np.ndarray], height: float, often: bool
    ) -> np.ndarray | None:
        """What is printed around boxes of writing (4,) each: (H, W) uint8, or None for nothing."""
        g = self._generator
        more = 3.0 if often else 1.0
        layer = np.zeros(shape, np.uint8)
        drawn = False
        many = np.array(boxes)
        thick = int(g.integers(1, 2 + max(1, round(height / 14))))
        if g.random() < 0.12 * more:  # a box for each mark, or for all, or a table's cell
            self._boxes(layer, many, thick, height)
            drawn = True
        if g.random() < 0.15 * more:  # rules, whole, dashed or dotted; often right below
            spacing = height * g.uniform(0.9, 2.5)
            y = many[:, 3].max() + height * g.normal(0, 0.15) if g.random() < 0.6 else g.uniform(0, spacing)
            thin = max(1, thick - 1)
            dots = g.random() < 0.35
            period = g.uniform(3, 9) * thin
            angle = g.normal(0, 0.02)
            y -= spacing * math.floor(y / spacing)
            while y < shape[0]:
                if dots:
                    long = period * g.choice([0, 0.5])
                    for x in np.arange(0, shape[1], period):
                        stroke(layer, (x, y + angle * x), (x + long, y + angle * (x + long)), thin)
                else:
                    stroke(layer, (-5, y), (shape[1] + 5, y + angle * shape[1]), thin)
                y += spacing
            drawn = True
        if g.random() < 0.05 * more:
            spacing = max(4.0, height * g.uniform(0.25, 0.9))
            for at in np.arange(g.uniform(0, spacing), max(shape), spacing):
                stroke(layer, (0, at), (shape[1], at), 1)
                stroke(layer, (at, 0), (at, shape[0]), 1)
            drawn = True
        if g.random() < 0.08 * more:
            layer = np.maximum(layer, _part(self._waves[int(g.integers(len(self._waves)))], shape, g))
            drawn = True
        if g.random() < 0.07 * more:
            printed.text(layer, boxes if not often else [], height * g.uniform(0.6, 1.2), g)
            drawn = True
        if g.random() < 0.02 * more:  # a stamp
            centre = (int(g.integers(shape[1])), int(g.integers(shape[0])))
            axes = (int(height * g.uniform(1, 3)), int(height * g.uniform(0.7, 2)))
            for smaller in (1.0, 0.8):
                reach = int(axes[0] * smaller), int(axes[1] * smaller)
                cv2.ellipse(layer, centre, reach, float(g.uniform(0, 60)), 0, 360, 255, thick, cv2.LINE_AA)
            drawn = True
        return layer if drawn else None

    def _boxes(self, layer: np.ndarray, many: np.ndarray, thick: int, height: float) -> None:
        g = self._generator
        kind = g.random()
        pad = height * g.uniform(-0.03, 0.35)
        low, high = many[:, :2].min(0) - pad, many[:, 2:].max(0) + pad
        if kind < 0.45:  # cells that share their sides, some more of them empty
            edges = (many[1:, 0] + many[:-1, 2]) / 2 if len(many) > 1 else np.zeros(0)
            wide = float(np.median(many[:, 2] - many[:, 0])) + 2 * pad
            x0, x1 = low[0] - wide * g.integers(0, 2), high[0]
            edges = np.concatenate([[x0, low[0]], edges, x1 + wide * np.arange(0, g.integers(1, 4))])
            for x in edges:
                stroke(layer, (x, low[1]), (x + g.normal(0, 0.4), high[1]), thick)
            for y in (low[1], high[1]):
                stroke(layer, (edges[0], y), (edges[-1], y + g.normal(0, 0.4)), thick)
        elif kind < 0.65:  # boxes that stand apart
            for x0, _, x1, _ in many:
                corners = [round(v) for v in (x0 - pad / 2, low[1], x1 + pad / 2, high[1])]
                cv2.rectangle(layer, corners[:2], corners[2:], 255, thick, cv2.LINE_AA)
        elif kind < 0.85:  # one box
            corners = [round(float(v)) for v in (*low, *high)]
            cv2.rectangle(layer, corners[:2], corners[2:], 255, thick, cv2.LINE_AA)
        elif kind < 0.93:  # a comb
            stroke(layer, (low[0], high[1]), (high[0], high[1]), thick)
            for x0, _, x1, _ in many:
                for x in (x0 - pad / 2, x1 + pad / 2):
                    stroke(layer, (x, high[1] - 0.4 * height), (x, high[1]), thick)
        else:  # the sides of a table's column
            for x in (low[0] - g.uniform(0, 0.5) * height, high[0] + g.uniform(0, 0.5) * height):
                stroke(layer, (x, 0), (x + g.normal(0, 1), layer.shape[0]), thick)

    # How it is shown

    def _shown(self, page: np.ndarray, box: np.ndarray, height: float) -> np.ndarray:
        """What a camera makes of a page (H, W) float32, cut out around a box and scaled: (HEIGHT, W) uint8."""
        g = self._generator
        dice = g.random(8)
        if dice[0] < 0.3:
            page = cv2.GaussianBlur(page, (0, 0), height * math.exp(g.uniform(math.log(0.012), math.log(0.1))))
        if dice[1] < 0.2:  # it had fewer pixels once
            fit = min(1.0, g.uniform(9, 20) / height)
            small = cv2.resize(page, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
            way = cv2.INTER_NEAREST if dice[2] < 0.3 else cv2.INTER_CUBIC
            page = cv2.resize(small, page.shape[::-1], interpolation=way)
        if dice[3] < 0.6:
            noise = _part(self._noise[int(g.integers(len(self._noise)))], page.shape, g)
            page = page + np.float32(g.uniform(0.5, 7)) * noise
        if dice[4] < 0.1:  # a shadow's edge
            x = g.uniform(0, page.shape[1])
            soft = height * math.exp(g.uniform(-2, 1))
            across = ((np.arange(page.shape[1]) - x) / soft).clip(-30, 30)
            page = page * (1 - np.float32(g.uniform(0.1, 0.5)) / (1 + np.exp(across))).astype(np.float32)
        if dice[5] < CHALK:
            page = 255 - page
        picture = page.clip(0, 255).astype(np.uint8)
        if dice[6] < 0.35:
            _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(g.integers(25, 95))])
            picture = np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
        return self._cut_out(picture, box)

    def _cut_out(self, picture: np.ndarray, box: np.ndarray) -> np.ndarray:
        g = self._generator
        if g.random() < TIGHT:  # the picture ends beside the writing
            reach = (box[3] - box[1]) * g.uniform(0, 0.5, 4) + 1e6 * (g.random(4) < 0.4)
            left, top = np.maximum(box[:2] - reach[:2], 0).astype(int)
            right, bottom = np.ceil(box[2:] + reach[2:]).clip(max=10**5).astype(int)
            picture = picture[top:bottom, left:right]
            box = box - np.array([left, top, left, top])
        x0, y0, x1, y1 = box
        tall = float(y1 - y0)
        tall *= math.exp(g.normal(0.02, 0.07))
        middle = (y0 + y1) / 2 + tall * g.normal(0, 0.03)
        half = tall * HEIGHT / INK / 2
        sides = MARGIN * tall * np.exp(g.normal(0, 0.25, 2))
        far = g.random(2) < 0.08  # dirt beside the line counted as a part of it
        sides += far * tall * g.uniform(0, 1.5, 2)
        left, right = x0 - sides[0], x1 + sides[1]
        top, bottom = middle - half, middle + half
        edges = [math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)]
        high, wide = picture.shape
        pads = max(-edges[1], 0), max(edges[3] - high, 0), max(-edges[0], 0), max(edges[2] - wide, 0)
        if any(pads):
            picture = cv2.copyMakeBorder(picture, *pads, cv2.BORDER_REPLICATE)
        crop = picture[edges[1] + pads[0] : edges[3] + pads[0], edges[0] + pads[2] : edges[2] + pads[2]]
        fit = HEIGHT / crop.shape[0]
        width = max(8, round(crop.shape[1] * fit * math.exp(g.normal(0, 0.08))))
        inter = cv2.INTER_AREA if fit < 1 else cv2.INTER_LINEAR
        line = levelled(cv2.resize(crop, (width, HEIGHT), interpolation=inter))
        above, below = round(pads[0] * fit), round(pads[1] * fit)
        before, after = (round(pad * width / crop.shape[1]) for pad in pads[2:])
        line[:above], line[HEIGHT - below :], line[:, :before], line[:, width - after :] = 4 * (PAPER,)
        return line


def _stamp(ink: np.ndarray, other: np.ndarray, x: int, y: int) -> None:
    """Put other ink on ink, its upper left corner at x, y; what reaches beyond is cut off."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + other.shape[1], ink.shape[1]), min(y + other.shape[0], ink.shape[0])
    if x1 > x0 and y1 > y0:
        there = ink[y0:y1, x0:x1]
        np.maximum(there, other[y0 - y : y1 - y, x0 - x : x1 - x], out=there)


def _extent(ink: np.ndarray) -> tuple[int, int, int, int]:
    """(x_min, y_min, x_max, y_max) of ink (H, W) uint8, all of it where it is faint everywhere."""
    level = min(60, int(ink.max()) // 2)
    rows, columns = np.flatnonzero(ink.max(1) > level), np.flatnonzero(ink.max(0) > level)
    if not len(rows):
        return 0, 0, ink.shape[1], ink.shape[0]
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _part(tile: np.ndarray, shape: tuple[int, int], generator: Generator) -> np.ndarray:
    """A part (H, W) of a tile, mirrored at random, and enlarged where it is too small."""
    wide, high = min(shape[1], tile.shape[1]), min(shape[0], tile.shape[0])
    left, top = generator.integers(0, (tile.shape[1] - wide + 1, tile.shape[0] - high + 1))
    part = tile[top : top + high, left : left + wide]
    if generator.random() < 0.5:
        part = part[:, ::-1]
    if part.shape != shape:
        return cv2.resize(part, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return part.copy()
