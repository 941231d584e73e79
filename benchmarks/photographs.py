"""Digits of MNIST in made-up photographs, one hardship at a time: how many `/predict` and `/read` get right.

python -m benchmarks.photographs [--count N]. The digits are of the validation images, which no network was trained on;
made-up photographs find what breaks, and say less about real ones than real ones do.
"""

import argparse
import json
import os
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from service.prediction import describe_page, see
from service.predictor import Predictor
from service.settings import Settings
from service.upload import InvalidImage
from training import data

SEED = 0
SIZE = 600, 800  # height and width of a photograph in pixels
DIGIT = 0.45  # of its height, with MNIST's margin: as large as a digit mostly is drawn
PEN = (35, 35, 70)


def paper(generator):
    """Lit from one side, grainy: (H, W, 3) float64, grey levels."""
    y, x = np.mgrid[-0.5 : 0.5 : SIZE[0] * 1j, -0.5 : 0.5 : SIZE[1] * 1j]
    angle = generator.uniform(0, 2 * np.pi)
    light = 1 - 0.4 * (x * np.cos(angle) + y * np.sin(angle) + 0.2)
    return light[..., None] * (200, 196, 188) + generator.normal(0, 3, (*SIZE, 1))


def ink(image, share=DIGIT, x=0.5):
    """How much of each pixel (H, W, 1), 0 to 1, a digit (28, 28) uint8 covers, its middle at `x` of the width."""
    side = round(share * SIZE[0])
    soft = cv2.GaussianBlur(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC) / 255, (0, 0), side / 60)
    covered = np.zeros((SIZE[0], SIZE[1] + 2 * side))
    top, left = (SIZE[0] - side) // 2, round(x * SIZE[1] - side / 2) + side
    covered[top : top + side, left : left + side] = ((soft - 0.5) * side / 30 + 0.5).clip(0, 1)
    return covered[:, side:-side, None]


def drawn(page, covered, pen=PEN, strength=0.85):
    return page * (1 - strength * covered) + strength * covered * np.array(pen)


def photograph(image, generator):
    return drawn(paper(generator), ink(image))


def small(image, generator):
    return drawn(paper(generator), ink(image, 0.16, generator.uniform(0.1, 0.9)))


def pencil(image, generator):
    return drawn(paper(generator), ink(image), (130, 130, 130), 0.5)


def marker(image, generator):
    broad = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    return drawn(paper(generator), cv2.dilate(ink(image, 0.7), broad)[..., None], (20, 120, 40))


def yellow(image, generator):
    return drawn(paper(generator), ink(image), (235, 200, 30), 0.9)


def chalk(image, generator):
    return drawn((40, 60, 50) + generator.normal(0, 6, (*SIZE, 1)), ink(image), (225, 225, 220), 0.75)


def squared(image, generator):
    page, start = paper(generator), generator.integers(5, 30)
    for lines in (page, page.transpose(1, 0, 2)):
        for at in range(start, len(lines) - 2, 35):
            lines[at : at + 2] = 0.7 * lines[at : at + 2] + 0.3 * np.array((100, 130, 200))
    return drawn(page, ink(image))


def shadow(image, generator):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    angle, sharp = generator.uniform(0, 2 * np.pi), generator.uniform(4, 40)
    across = (x - SIZE[1] / 2) * np.cos(angle) + (y - SIZE[0] / 2) * np.sin(angle) - generator.uniform(-120, 120)
    return photograph(image, generator) * (1 - 0.45 / (1 + np.exp(-across / sharp)))[..., None]


def specks(image, generator):
    page = paper(generator)
    for _ in range(25):
        x, y, radius = generator.integers((0, 0, 1), (SIZE[1], SIZE[0], 5))
        cv2.circle(page, (int(x), int(y)), int(radius), (60, 60, 60), -1)
    return drawn(page, ink(image))


def blurred(image, generator):
    return cv2.GaussianBlur(photograph(image, generator), (0, 0), 7)


def sheet(image, generator, share=DIGIT):
    """A slanted sheet on a dark table."""
    turn = cv2.getRotationMatrix2D((SIZE[1] / 2, SIZE[0] / 2), generator.uniform(-20, 20), 0.7)
    there = cv2.warpAffine(np.ones(SIZE), turn, SIZE[::-1])[..., None]
    page = cv2.warpAffine(drawn(paper(generator), ink(image, share)), turn, SIZE[::-1])
    return page * there + ((70, 50, 35) + generator.normal(0, 5, (*SIZE, 1))) * (1 - there)


def small_on_sheet(image, generator):
    return sheet(image, generator, 0.22)


HARDSHIPS = photograph, small, pencil, marker, yellow, chalk, squared, shadow, specks, blurred, sheet, small_on_sheet


def measure(hardship, images, labels, predictor):
    """The shares of digits that are predicted, accepted or not, and that are read."""
    generator, settings, predicted, read = np.random.default_rng(SEED), Settings(), 0, 0
    for image, label in zip(images, labels, strict=True):
        file = BytesIO()
        Image.fromarray(np.uint8(hardship(image, generator).clip(0, 255))).save(file, "JPEG", quality=88)
        try:
            seen = see(file.getvalue(), settings.max_pixels, settings.formats)
            predicted += predictor.classify(seen.images, predictor.names).verdicts[0].digit == label
            read += describe_page(predictor, predictor.names, file.getvalue(), settings)["text"] == str(label)
        except InvalidImage:
            continue
    return predicted / len(images), read / len(images)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="digits of each kind; default: 100")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    args = parser.parse_args(argv)
    images, labels = (tensor[: args.count].numpy() for tensor in data.load("validation", args.data))
    predictor = Predictor(args.models, "cpu", os.cpu_count())
    rows = {}
    for hardship in tqdm(HARDSHIPS, desc="photographs"):
        rows[hardship.__name__] = measure(hardship, images[:, 0], labels, predictor)
    print(f"{'':16}/predict   /read")
    for name, (predicted, read) in rows.items():
        print(f"{name:16}{predicted:8.0%}{read:8.0%}")
    print(json.dumps({"count": args.count, "seed": SEED, "right": rows}))


if __name__ == "__main__":
    main()
