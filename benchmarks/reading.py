"""How long a picture takes from its bytes to its text, without HTTP: one digit, a line of five, a page of fifty.

    python -m benchmarks.reading --record results/reading.json

One digit is classified as `/predict` does, the others are read as `/read` does. The pictures are made photographs of
800x600 pixels that show validation digits. Let nothing else run beside it.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.offline import hardware
from benchmarks.photographs import NUMBER, SIZE, Generator, Page, drawn, encoded, paper, photograph
from service.recogniser import Recogniser
from training.data import mnist

SEED = 0
ROWS, COLUMNS = 5, 10  # digits of a page
SIDE = 55, 75  # pixels of MNIST's frame around a digit of a page


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


def milliseconds(work: Callable[[bytes], object], pictures: Sequence[bytes], title: str) -> dict[str, float]:
    """The median and the 95th percentile of what a picture takes, after all of them once as a warm-up.

    Raises InvalidImage if one is refused.
    """
    for data in pictures:
        work(data)
    taken = []
    for data in tqdm(pictures, title):
        start = time.perf_counter()
        work(data)
        taken.append((time.perf_counter() - start) * 1e3)
    median, high = np.percentile(taken, (50, 95))
    return {"n": len(pictures), "median_ms": round(float(median), 1), "p95_ms": round(float(high), 1)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=40, help="pictures of each kind; default: 40")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--record", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    threads = len(os.sched_getaffinity(0))
    recogniser = Recogniser(args.models, "cpu", threads)
    generator = np.random.default_rng(SEED)
    images = mnist.load("validation", args.data)[0].numpy()[:, 0]

    def made(draw: Callable[[np.ndarray, Generator], Page], digits: int) -> list[bytes]:
        chosen = generator.integers(len(images), size=(args.count, digits))
        return [encoded(draw(images[some], generator)) for some in chosen]

    rows = {
        "one digit, `/predict`": milliseconds(recogniser.predict, made(photograph, 1), "digits"),
        "a line of five digits, `/read`": milliseconds(recogniser.read, made(photograph, NUMBER), "lines"),
        "a page of fifty digits, `/read`": milliseconds(recogniser.read, made(page, ROWS * COLUMNS), "pages"),
    }
    for title, row in rows.items():
        print(f"{title:34}{row['median_ms']:8.1f} ms, 95 % below {row['p95_ms']:.1f} ms, n = {row['n']}")
    report = {"hardware": hardware(), "threads": threads, "seed": SEED, "rows": rows}
    if args.record:
        args.record.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
