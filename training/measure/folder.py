"""A folder of labelled images, prepared like uploads to the service."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from service.picture.decode import FORMATS, grey_from_upload
from service.picture.digit import Canonical, canonicalise
from service.picture.errors import InvalidImage
from service.picture.ink import InkFinder
from service.settings import Settings
from training.measure.figures import separation
from training.recipe import NONE

INDEX = "index.csv"
LOOKALIKE = "lookalike"  # in the column `kind` of an index: a non-digit that may pass for a digit, so it is left out
SUFFIXES = {f".{name.lower()}" for name in FORMATS} | {".jpg", ".tif"}


@dataclass
class Folder:
    """N images that the service can prepare, and the labels of U more that it refuses before any model runs.

    In `labels`, `kinds` and `writers`, the U refused images follow the N others.
    """

    images: np.ndarray  # (N, 1, 28, 28) uint8
    labels: np.ndarray  # (N + U,) int64, NONE for a non-digit
    kinds: list[str]
    writers: list[str]
    is_sure: np.ndarray  # (N,) bool: that the image shows writing

    def figures(self, probabilities: np.ndarray, threshold: float) -> dict[str, Any]:
        """The figures of the folder. probabilities: (N, 10); threshold: the lowest confidence of an accepted image.

        An image that is refused before any model runs counts as a wrong digit or as a refused non-digit.
        """
        written = self.labels != NONE
        right, accepted = np.zeros((2, len(self.labels)), bool)
        seen = slice(len(self.images))
        right[seen] = probabilities.argmax(1) == self.labels[seen]
        accepted[seen] = self.is_sure & (probabilities.max(1) >= threshold)
        by_writer = _shares(self.writers, right, written)
        found: dict[str, Any] = {"digits": int(written.sum()), "others": int((~written).sum())}
        if written.any():
            found |= {
                "accuracy": float(right[written].mean()),
                "mean_over_writers": float(np.mean([right / count for right, count in by_writer.values()])),
                "digits_refused": float(1 - accepted[written].mean()),
                "right_by_kind": _shares(self.kinds, right, written),
                "right_by_writer": by_writer,
            }
        if not written.all():
            found["others_refused"] = float(1 - accepted[~written].mean())
        written, confidences = written[seen], probabilities.max(1)
        if written.any() and not written.all():
            found["auroc"] = separation(confidences[written], confidences[~written])
        return found


def _shares(values: list[str], right: np.ndarray, written: np.ndarray) -> dict[str, list[int]]:
    """For each value of a column: how many digits are right, and how many there are."""
    column = np.array(values)
    groups = {value: written & (column == value) for value in sorted(set(column[written]))}
    return {str(value): [int(right[which].sum()), int(which.sum())] for value, which in groups.items()}


def load(folder: Path, finder: InkFinder) -> Folder:
    """Read a folder with an index.csv, or with folders 0/ to 9/ and other/, which holds non-digits.

    The index has the columns path and truth, and may have kind, cropped_by_author and writer. An empty truth means a
    non-digit. Images of several digits and look-alikes are left out.
    Raises FileNotFoundError if there is neither an index nor such a folder, or no readable image.
    """
    rows = _index(folder) if (folder / INDEX).is_file() else _label_folders(folder)
    most = Settings().max_pixels
    images: list[Canonical] = []
    seen, unseen = [], []
    for path, *says in tqdm(rows, desc=folder.name):
        try:
            picture, _ = grey_from_upload((folder / path).read_bytes(), most, FORMATS)
            images.append(canonicalise(picture, finder))
        except InvalidImage:
            unseen.append(says)
        else:
            seen.append(says)
    if not images:
        raise FileNotFoundError(f"{str(folder)!r} holds no readable image.")
    labels, kinds, writers = map(list, zip(*seen, *unseen, strict=True))
    pixels = np.stack([image.image for image in images])[:, None]
    return Folder(pixels, np.array(labels), kinds, writers, np.array([image.is_sure for image in images]))


def _index(folder: Path) -> Iterator[tuple[str, int, str, str]]:
    with open(folder / INDEX, newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        truth, kind = row["truth"], row.get("kind") or ""
        if len(truth) > 1 or LOOKALIKE in kind:
            continue
        if row.get("cropped_by_author") == "1":
            kind += ", cropped"
        yield row["path"], int(truth) if truth else NONE, kind, row.get("writer") or ""


def _label_folders(folder: Path) -> Iterator[tuple[str, int, str, str]]:
    names = {str(digit): digit for digit in range(10)} | {"other": NONE}
    found = [folder / name for name in names if (folder / name).is_dir()]
    if not found:
        raise FileNotFoundError(f"{str(folder)!r} holds neither an {INDEX} nor folders named 0 to 9.")
    for part in found:
        for path in sorted(part.iterdir()):
            if path.suffix.lower() in SUFFIXES:
                yield f"{part.name}/{path.name}", names[part.name], "", ""
