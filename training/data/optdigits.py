"""optdigits' original 32x32 bitmaps: 43 Turkish writers (https://archive.ics.uci.edu/dataset/80, CC BY 4.0).

The set's authors stretched each digit to fill its bitmap, so a 1 is as wide as a 0. We give each digit a usual width
again. The files separate 30 writers from 13 others, but do not say who wrote which digit. The 13 are for test; of the
30 writers' two files, one is for training and one for validation, so validation here is not by writer.
"""

from functools import partial
from pathlib import Path

import cv2
import numpy as np

from training.data.writers import Source, check_split, existing, folder, framed

TEST_WRITERS = 13
PARTS = {"train": "train", "validation": "cv", "test": "other_writers"}  # the names in the file
HEIGHT = 64  # pixels: height of the enlarged bitmap
WIDTHS, WIDTHS_OF_ONE = (0.6, 0.85), (0.25, 0.4)  # width over height
SMOOTH = 1.5  # pixels, standard deviation of the blur that rounds the corners of enlarged pixels
SLANT = 0.15  # columns per row, standard deviation


def digits(split: str, root: Path | str | None = None) -> Source:
    """The digits of a split. The set does not say who wrote which digit, so every writer is 0."""
    check_split(split)
    with np.load(existing(folder(root) / "optdigits" / "optdigits.npz")) as file:
        rows = np.flatnonzero(file["part"] == PARTS[split])
        bitmaps, labels = np.unpackbits(file["images"][rows], axis=2), file["label"][rows].astype(np.int64)
    return Source(framed(partial(_ink, bitmaps, labels)), labels, labels.astype(str), np.zeros(len(rows), int))


def _ink(bitmaps: np.ndarray, labels: np.ndarray, row: int, generator: np.random.Generator) -> np.ndarray:
    width = round(HEIGHT * generator.uniform(*(WIDTHS_OF_ONE if labels[row] == 1 else WIDTHS)))
    slant = SLANT * generator.standard_normal()
    ink = cv2.resize(bitmaps[row] * np.float32(255), (width, HEIGHT), interpolation=cv2.INTER_CUBIC)
    room = HEIGHT // 2  # for the slant
    matrix = np.array([[1, -slant, room + slant * HEIGHT / 2], [0, 1, room // 2]])
    ink = cv2.warpAffine(ink, matrix, (width + 2 * room, HEIGHT + room))
    return cv2.GaussianBlur(ink, (0, 0), SMOOTH).clip(0, 255)
