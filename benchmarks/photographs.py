"""Digits of MNIST in made-up photographs, one hardship at a time: how many `/predict` and `/read` get right.

python -m benchmarks.photographs [--count N]. A photograph shows one digit, or, for `/read` alone, a number of five.
The digits are of the validation images, which no network was trained on, and none of the drawing is that of
`training.scenes.scene`, from which the network that finds ink has learnt. Made-up photographs find what breaks,
and say less about real ones than real ones do.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.data import mnist

Generator = np.random.Generator
Page = np.ndarray  # (H, W, 3) or (H, W, 1) float64
SEED = 0
SIZE = 600, 800  # height and width of a photograph in pixels
NUMBER = 5  # digits
CLOSER, ADVANCE = 2.2, 0.85  # times smaller a digit of a number is; of its size, from one to the next
DIGIT = 0.45  # of its height, with MNIST's margin: as large as a digit mostly is drawn
PEN = (35, 35, 70)


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


def ruled(page: Page, covered: Page, generator: Generator, dotted: bool) -> Page:
    """A rule, whole or dotted, through the feet of what is written."""
    rows = np.flatnonzero(covered.any((1, 2)))
    y = int(rows[-1] - generator.uniform(0, 0.1) * (rows[-1] - rows[0]))
    for x in range(10, SIZE[1], 9 if dotted else 1):
        page[y : y + 3, x : x + 3] = 90
    return page


def dotted_rule(images: np.ndarray, generator: Generator) -> Page:
    covered = ink(images, generator)
    return drawn(ruled(paper(generator), covered, generator, dotted=True), covered)


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


# The last ones were added when the reader began to learn.
HARDSHIPS: tuple[Callable[[np.ndarray, Generator], Page], ...] = (
    *(photograph, small, pencil, marker, yellow, chalk, squared, shadow, specks, blurred, sheet, small_on_sheet),
    *(felt, dotted_rule, form, guilloche, slanted, on_its_side, letters_between),
)


def measure(
    hardship: Callable[[np.ndarray, Generator], Page],
    images: np.ndarray,
    labels: np.ndarray,
    recogniser: Recogniser,
    count: int,
) -> tuple[float, float, float]:
    """The shares of digits that are predicted and that are read, accepted or not and accepted, and of numbers read."""
    generator = np.random.default_rng(SEED)
    predicted = read = numbers = 0

    def text(file: bytes) -> str:
        return recogniser.read(file).text

    for number in range(count):
        part = slice(NUMBER * number, NUMBER * (number + 1))
        one = photographed(hardship, images[part][:1], generator)
        row = photographed(hardship, images[part], generator)
        with suppress(InvalidImage):
            predicted += recogniser.predict(one).digit == labels[part][0]
        with suppress(InvalidImage):
            read += text(one) == str(labels[part][0])
        with suppress(InvalidImage):
            numbers += text(row) == "".join(map(str, labels[part]))
    return predicted / count, read / count, numbers / count


def photographed(hardship: Callable[[np.ndarray, Generator], Page], images: np.ndarray, generator: Generator) -> bytes:
    """A photograph of digits (K, 28, 28) uint8 as the bytes of a JPEG."""
    return encoded(hardship(images, generator))


def encoded(picture: Page) -> bytes:
    """A picture (H, W, 3), grey levels, as the bytes of a JPEG."""
    file = BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="digits of each kind, and numbers; default: 100")
    parser.add_argument("--record", type=Path, help="write the figures to this file")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    args = parser.parse_args(argv)
    images, labels = (tensor[: NUMBER * args.count].numpy() for tensor in mnist.load("validation", args.data))
    recogniser = Recogniser(args.models, "cpu")
    rows = {}
    for hardship in tqdm(HARDSHIPS, desc="photographs"):
        rows[hardship.__name__] = measure(hardship, images[:, 0], labels, recogniser, args.count)
    print(f"{'':16}/predict   /read  numbers")
    for name, (predicted, read, numbers) in rows.items():
        print(f"{name:16}{predicted:8.0%}{read:8.0%}{numbers:9.0%}")
    report = {"count": args.count, "seed": SEED, "right": rows}
    if args.record:
        args.record.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
