"""Photographs made of digits, one hardship at a time, and of papers without any: what `benchmarks.pictures` shows.

The drawing of paper, light and hardships is not that of `training.scenes`, from which the networks have learnt.
Made photographs find what breaks, and say less about real ones than real ones do. A picture is (H, W, 3) float64, grey
levels; digits are (K, 28, 28) uint8, MNIST's.
"""

from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import cv2
import numpy as np
from PIL import Image

from training.data.strokes import Strokes
from training.scenes.pens import trace

Generator = np.random.Generator
Page = np.ndarray  # (H, W, 3) or (H, W, 1) float64
SIZE = 600, 800  # height and width of a photograph in pixels
NUMBER = 5  # digits
CLOSER, ADVANCE = 2.2, 0.85  # times smaller a digit of a number is; of its size, from one to the next
DIGIT = 0.45  # of its height, with MNIST's margin: as large as a digit mostly is drawn
PEN = (35, 35, 70)
PENS = PEN, (20, 20, 20), (110, 110, 110)  # ballpoint, fibre pen, pencil
LINE = 0.92  # share of the photograph that a line of writing fills, at most
ROWS, COLUMNS = 5, 10  # digits of a page
SIDE = 55, 75  # pixels of MNIST's frame around a digit of a page


def paper(generator: Generator) -> Page:
    """Lit from one side, grainy: (H, W, 3) float64, grey levels."""
    y, x = np.mgrid[-0.5 : 0.5 : SIZE[0] * 1j, -0.5 : 0.5 : SIZE[1] * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    light = 1 - 0.4 * (x * np.cos(angle) + y * np.sin(angle) + 0.2)
    return light[..., None] * (200, 196, 188) + generator.normal(0, 3, (*SIZE, 1))


def ink(images: np.ndarray, generator: Generator, share: float = DIGIT, aside: float = 0.0) -> Page:
    """How much of each pixel (H, W, 1), 0 to 1, digits (K, 28, 28) uint8 cover, written in a row as by hand.

    share: of the height, for a digit alone; aside: how far a digit alone may be from the middle, of the width.
    """
    height, width = SIZE
    many = len(images) > 1
    side = round(share * height / (CLOSER if many else 1))
    covered = np.zeros((height + 2 * side, width + 2 * side))
    slope, middle = generator.uniform(-0.08, 0.08) if many else 0, generator.uniform(0.5 - aside, 0.5 + aside)
    for place, image in enumerate(images):
        size = round(side * generator.uniform(0.8, 1.1)) if many else side
        pen = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) / 255
        pen = ((cv2.GaussianBlur(pen, (0, 0), size / 60) - 0.5) * size / 30 + 0.5).clip(0, 1)
        right = ADVANCE * side * (place - (len(images) - 1) / 2)
        x, y = (0.5 if many else middle) * width + right, height / 2 + slope * right
        left, top = round(x - size / 2) + side, round(y - size / 2) + side
        there = covered[top : top + size, left : left + size]
        np.maximum(there, pen, out=there)
    return covered[side:-side, side:-side, None]


def drawn(page: Page, covered: Page, pen: tuple[int, int, int] = PEN, strength: float = 0.85) -> Page:
    return page * (1 - strength * covered) + strength * covered * np.array(pen)


def photograph(images: np.ndarray, generator: Generator) -> Page:
    return drawn(paper(generator), ink(images, generator))


def small(images: np.ndarray, generator: Generator) -> Page:
    return drawn(paper(generator), ink(images, generator, 0.16, 0.4))


def pencil(images: np.ndarray, generator: Generator) -> Page:
    return drawn(paper(generator), ink(images, generator), (130, 130, 130), 0.5)


def marker(images: np.ndarray, generator: Generator) -> Page:
    broad = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    return drawn(paper(generator), cv2.dilate(ink(images, generator, 0.7), broad)[..., None], (20, 120, 40))


def yellow(images: np.ndarray, generator: Generator) -> Page:
    return drawn(paper(generator), ink(images, generator), (235, 200, 30), 0.9)


def chalk(images: np.ndarray, generator: Generator) -> Page:
    return drawn((40, 60, 50) + generator.normal(0, 6, (*SIZE, 1)), ink(images, generator), (225, 225, 220), 0.75)


def squared(images: np.ndarray, generator: Generator) -> Page:
    page, start = paper(generator), generator.integers(5, 30)
    for lines in (page, page.transpose(1, 0, 2)):
        for at in range(start, len(lines) - 2, 35):
            lines[at : at + 2] = 0.7 * lines[at : at + 2] + 0.3 * np.array((100, 130, 200))
    return drawn(page, ink(images, generator))


def shadow(images: np.ndarray, generator: Generator) -> Page:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    angle, sharp = generator.uniform(0, 2 * np.pi), generator.uniform(4, 40)
    across = (x - SIZE[1] / 2) * np.cos(angle) + (y - SIZE[0] / 2) * np.sin(angle) - generator.uniform(-120, 120)
    return photograph(images, generator) * (1 - 0.45 / (1 + np.exp(-across / sharp)))[..., None]


def specks(images: np.ndarray, generator: Generator) -> Page:
    page = paper(generator)
    for _ in range(25):
        x, y, radius = generator.integers((0, 0, 1), (SIZE[1], SIZE[0], 5))
        cv2.circle(page, (int(x), int(y)), int(radius), (60, 60, 60), -1)
    return drawn(page, ink(images, generator))


def blurred(images: np.ndarray, generator: Generator) -> Page:
    return cv2.GaussianBlur(photograph(images, generator), (0, 0), 7)


def sheet(images: np.ndarray, generator: Generator, share: float = DIGIT) -> Page:
    """A slanted sheet on a dark table."""
    turn = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), generator.uniform(-20, 20), 0.7)
    there = cv2.warpAffine(np.ones(SIZE), turn, SIZE[::-1])[..., None]
    page = cv2.warpAffine(drawn(paper(generator), ink(images, generator, share)), turn, SIZE[::-1])
    return page * there + ((70, 50, 35) + generator.normal(0, 5, (*SIZE, 1))) * (1 - there)


def small_on_sheet(images: np.ndarray, generator: Generator) -> Page:
    return sheet(images, generator, 0.22)


def felt(images: np.ndarray, generator: Generator) -> Page:
    """Broad digits that fill a small picture."""
    covered = ink(images, generator, 0.95 if len(images) == 1 else 0.65)
    broad = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (19, 19))
    page = drawn(paper(generator), cv2.dilate(covered, broad)[..., None])
    rows, columns = np.flatnonzero(covered.any((1, 2))), np.flatnonzero(covered.any((0, 2)))
    page = page[max(rows[0] - 12, 0) : rows[-1] + 12, max(columns[0] - 12, 0) : columns[-1] + 12]
    return cv2.resize(page, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)


def dotted_rule(images: np.ndarray, generator: Generator) -> Page:
    """Through the feet of what is written."""
    covered, page = ink(images, generator), paper(generator)
    rows = np.flatnonzero(covered.any((1, 2)))
    y = int(rows[-1] - generator.uniform(0, 0.1) * (rows[-1] - rows[0]))
    for x in range(10, SIZE[1], 9):
        page[y : y + 3, x : x + 3] = 90
    return drawn(page, covered)


def form(images: np.ndarray, generator: Generator) -> Page:
    """A printed box for each digit, which the writing touches."""
    covered, page = ink(images, generator), paper(generator)
    rows, columns = np.flatnonzero(covered.any((1, 2))), np.flatnonzero(covered.any((0, 2)))
    edges = np.linspace(columns[0] - 4, columns[-1] + 4, len(images) + 1).round().astype(int)
    for left, right in pairwise(edges):
        cv2.rectangle(page, (int(left), int(rows[0]) - 6), (int(right), int(rows[-1]) + 6), (110, 120, 120), 2)
    return drawn(page, covered)


def guilloche(images: np.ndarray, generator: Generator) -> Page:
    """The fine waves of a cheque."""
    page, x = paper(generator), np.arange(SIZE[1])
    for y in range(-60, SIZE[0] + 60, 9):
        wave = y + 30 * np.sin(x / 60 + y / 80)
        cv2.polylines(page, [np.stack([x, wave], 1).round().astype(np.int32)], False, (160, 175, 170), 1, cv2.LINE_AA)
    return drawn(page, ink(images, generator))


def slanted(images: np.ndarray, generator: Generator) -> Page:
    """A line that rises or falls by 10 to 15 degrees."""
    angle = generator.choice([-1, 1]) * generator.uniform(10, 15)
    turn = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), angle, 0.9)
    return drawn(paper(generator), cv2.warpAffine(ink(images, generator), turn, SIZE[::-1])[..., None])


def on_its_side(images: np.ndarray, generator: Generator) -> Page:
    """Turned by one, two or three quarters, where it shows enough digits to tell."""
    quarters = int(generator.integers(1, 4)) if len(images) > 1 else 0
    return np.ascontiguousarray(np.rot90(photograph(images, generator), quarters))


def letters_between(images: np.ndarray, generator: Generator) -> Page:
    """Letters in a pen's script above and below."""
    covered = ink(images, generator)
    rows, words = np.flatnonzero(covered.any((1, 2))), np.zeros(SIZE, np.uint8)
    for y in (int(rows[0]) - 30, int(rows[-1]) + 100):
        word = "".join(generator.choice(list("hkmnwxMNKW"), 5))
        cv2.putText(words, word, (150, y), cv2.FONT_HERSHEY_SCRIPT_SIMPLEX, 3, 255, 5, cv2.LINE_AA)
    return drawn(paper(generator), np.maximum(covered, words[..., None] / 255))


HARDSHIPS: tuple[Callable[[np.ndarray, Generator], Page], ...] = (
    *(photograph, small, pencil, marker, yellow, chalk, squared, shadow, specks, blurred, sheet, small_on_sheet),
    *(felt, dotted_rule, form, guilloche, slanted, on_its_side, letters_between),
)


def page(images: np.ndarray, generator: Generator) -> Page:
    """Digits (ROWS * COLUMNS, 28, 28) uint8 in rows on paper."""
    covered = np.zeros(SIZE, np.uint8)
    for place, image in enumerate(images):
        side = int(generator.integers(*SIDE))
        row, column = divmod(place, COLUMNS)
        x = max(0, round((column + 0.5) * SIZE[1] / COLUMNS - side / 2 + generator.normal(0, 2)))
        y = max(0, round((row + 0.5) * SIZE[0] / ROWS - side / 2 + generator.normal(0, 3)))
        x, y = min(x, SIZE[1] - side), min(y, SIZE[0] - side)
        there = covered[y : y + side, x : x + side]
        np.maximum(there, cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), out=there)
    return drawn(paper(generator), covered[..., None] / 255)


def written(strokes: Strokes, row: int, generator: Generator) -> Page:
    """Somebody's number, sample `row` of `strokes`, with a pen of any breadth."""
    width, pen = generator.integers(400, 700), generator.uniform(4, 12)
    points = strokes.points[strokes.stroke[strokes.sample[row]] : strokes.stroke[strokes.sample[row + 1]]]
    across, down = np.ptp(points, axis=0).clip(1)
    height = min(width * down / across, SIZE[0] - 60)
    number = trace(strokes, row, height, pen, np.eye(2), widest=width / height)[: SIZE[0], : SIZE[1]]
    return _somewhere(number, generator)


def line(covered: np.ndarray, generator: Generator) -> Page:
    """A line of writing (H, W) uint8 somewhere on paper; one that is too large is reduced."""
    fit = min(1.0, *(LINE * room / side for room, side in zip(SIZE, covered.shape, strict=True)))
    return _somewhere(cv2.resize(covered, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA), generator)


def _somewhere(covered: np.ndarray, generator: Generator) -> Page:
    """Writing (H, W) uint8 at any place of a paper, with any pen."""
    whole = np.zeros((*SIZE, 1))
    top, left = (int(generator.integers(room - side + 1)) for room, side in zip(SIZE, covered.shape, strict=True))
    whole[top : top + covered.shape[0], left : left + covered.shape[1], 0] = covered / 255
    return drawn(paper(generator), whole, PENS[generator.integers(len(PENS))])


# Papers on which nothing is written.


def blank_paper(generator: Generator) -> Page:
    return paper(generator)


def ruled_paper(generator: Generator) -> Page:
    page, start, spacing = paper(generator), generator.integers(5, 60), generator.integers(25, 90)
    for y in range(start, SIZE[0] - 2, spacing):
        page[y : y + 2] *= 0.7
    return page


def squared_paper(generator: Generator) -> Page:
    page, start, spacing = paper(generator), generator.integers(5, 20), generator.integers(15, 50)
    for lines in (page, page.transpose(1, 0, 2)):
        for at in range(start, len(lines) - 2, spacing):
            lines[at : at + 2] *= 0.75
    return page


def empty_form(generator: Generator) -> Page:
    """A row of empty boxes."""
    page, side = paper(generator), int(generator.integers(40, 130))
    x, y = generator.integers(5, 60), generator.integers(5, SIZE[0] - side - 10)
    for left in range(x, SIZE[1] - side - 5, side + int(generator.integers(0, 2)) * 10):
        cv2.rectangle(page, (int(left), int(y)), (int(left) + side, int(y) + side), (110, 120, 120), 2)
    return page


PAPERS: tuple[Callable[[Generator], Page], ...] = blank_paper, ruled_paper, squared_paper, empty_form


def encoded(picture: Page) -> bytes:
    """A picture (H, W, 3), grey levels, as the bytes of a JPEG."""
    file = BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()
