"""Measure how well whole numbers are read, from images of several digits, by the code of POST /read."""

import csv
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.measure.folder import INDEX

LINE_BREAK = "|"  # how the column `truth` of an index writes a line break


def measure(folder: Path, models: Path) -> dict[str, float] | None:
    """Read the images in a folder's index.csv whose truth has several digits, with all artefacts of `models`.

    Returns, for single lines and for pages, their number, the share read exactly, and the character errors (wrong,
    missing and invented characters) as a share of all characters, line breaks included. None if there is no such image.
    """
    numbers = list(labelled(folder)) if (folder / INDEX).is_file() else []
    if not numbers:
        return None
    recogniser = Recogniser(models, "cpu")
    found: dict[str, list[tuple[str, str]]] = {"line": [], "page": []}
    for path, truth in tqdm(numbers, desc="numbers"):
        try:
            said = recogniser.read(path).text
        except InvalidImage:
            said = ""
        found["page" if "\n" in truth else "line"].append((truth, said))
    result: dict[str, float] = {}
    for kind, pairs in found.items():
        result[f"{kind}s"] = len(pairs)
        if pairs:
            result[f"{kind}s_exact"] = sum(truth == said for truth, said in pairs) / len(pairs)
            errors = sum(distance(truth, said) for truth, said in pairs)
            result[f"{kind}_character_errors"] = errors / sum(len(truth) for truth, _ in pairs)
    return result


def labelled(folder: Path) -> Iterator[tuple[Path, str]]:
    """The pictures in a folder's index.csv whose truth has several digits, and that truth."""
    with open(folder / INDEX, newline="") as lines:
        for row in csv.DictReader(lines):
            if len(row["truth"]) > 1:
                yield folder / row["path"], row["truth"].replace(LINE_BREAK, "\n")


def distance(one: str, other: str) -> int:
    """Levenshtein distance: the fewest characters to insert, drop or replace, https://doi.org/10.1145/321796.321811."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[:], i
        for j, b in enumerate(other, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
    return row[-1]
