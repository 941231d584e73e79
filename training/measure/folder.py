"""Measure a folder of labelled pictures by what the service says about them."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from service.answers import Prediction
from service.picture.decode import FORMATS
from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.measure.figures import separation

INDEX = "index.csv"
LOOKALIKE = "lookalike"  # in the column `kind` of an index: a non-digit that may pass for a digit, so it is left out
LINE_BREAK = "|"  # how the column `truth` of an index writes a line break
OTHER = "other"  # the folder of pictures without a digit
SUFFIXES = {f".{name.lower()}" for name in FORMATS} | {".jpg", ".tif"}
TOGETHER = 64  # pictures that are decoded before their models run


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A picture and what it shows."""

    path: Path
    truth: str  # digits, with "\n" between lines; empty for no digit
    kind: str = ""
    writer: str = ""


def labelled(folder: Path) -> list[Labelled]:
    """The pictures of a folder with an index.csv, or with folders 0/ to 9/ and other/, which holds non-digits.

    The index has the columns path and truth, and may have kind, cropped_by_author and writer. Look-alikes are left out.
    Raises FileNotFoundError if there is neither an index nor such a folder.
    """
    return list(_index(folder) if (folder / INDEX).is_file() else _label_folders(folder))


def _index(folder: Path) -> Iterator[Labelled]:
    with open(folder / INDEX, newline="") as lines:
        for row in csv.DictReader(lines):
            kind = row.get("kind") or ""
            if LOOKALIKE in kind:
                continue
            if row.get("cropped_by_author") == "1":
                kind += ", cropped"
            truth, writer = row["truth"].replace(LINE_BREAK, "\n"), row.get("writer") or ""
            yield Labelled(path=folder / row["path"], truth=truth, kind=kind, writer=writer)


def _label_folders(folder: Path) -> Iterator[Labelled]:
    found = [name for name in (*map(str, range(10)), OTHER) if (folder / name).is_dir()]
    if not found:
        raise FileNotFoundError(f"{str(folder)!r} holds neither an {INDEX} nor folders named 0 to 9.")
    for name in found:
        for path in sorted((folder / name).iterdir()):
            if path.suffix.lower() in SUFFIXES:
                yield Labelled(path=path, truth="" if name == OTHER else name)


def measure_digits(
    recogniser: Recogniser, pictures: Sequence[Labelled], models: str | None = None
) -> dict[str, Any] | None:
    """The figures of `models` for the pictures of one digit and of none; None if there is no such picture.

    A picture that the service cannot read counts as a wrong digit or as a refused non-digit.
    """
    single = [one for one in pictures if len(one.truth) < 2]
    if not single:
        return None
    answers: list[Prediction | None] = []
    for start in tqdm(range(0, len(single), TOGETHER), desc=f"{models or 'all'}, own images", unit=" batches"):
        batch = recogniser.predict_many([one.path for one in single[start : start + TOGETHER]], models)
        answers += [answer if isinstance(answer, Prediction) else None for answer in batch]
    written = np.array([one.truth != "" for one in single])
    right = np.array([a is not None and str(a.digit) == one.truth for a, one in zip(answers, single, strict=True)])
    accepted = np.array([answer is not None and answer.accepted for answer in answers])
    by_writer = _shares([one.writer for one in single], right, written)
    found: dict[str, Any] = {"digits": int(written.sum()), "others": int((~written).sum())}
    if written.any():
        found |= {
            "accuracy": float(right[written].mean()),
            "mean_over_writers": float(np.mean([right / count for right, count in by_writer.values()])),
            "digits_refused": float(1 - accepted[written].mean()),
            "right_by_kind": _shares([one.kind for one in single], right, written),
            "right_by_writer": by_writer,
        }
    if not written.all():
        found["others_refused"] = float(1 - accepted[~written].mean())
    said = [(answer.confidence, digit) for answer, digit in zip(answers, written, strict=True) if answer is not None]
    of_digits, of_others = ([sure for sure, digit in said if digit == kind] for kind in (True, False))
    if of_digits and of_others:
        found["auroc"] = separation(np.array(of_digits), np.array(of_others))
    return found


def _shares(values: list[str], right: np.ndarray, written: np.ndarray) -> dict[str, list[int]]:
    """For each value of a column: how many digits are right, and how many there are."""
    column = np.array(values)
    groups = {value: written & (column == value) for value in sorted(set(column[written]))}
    return {str(value): [int(right[which].sum()), int(which.sum())] for value, which in groups.items()}


def measure_numbers(recogniser: Recogniser, pictures: Sequence[Labelled]) -> dict[str, float] | None:
    """How well the pictures of several digits are read; None if there is none.

    Returns, for single lines and for pages, their number, the share read exactly, and the character errors (wrong,
    missing and invented characters) as a share of all characters, line breaks included.
    """
    found: dict[str, list[tuple[str, str]]] = {"line": [], "page": []}
    for one in tqdm([one for one in pictures if len(one.truth) > 1], desc="numbers"):
        try:
            said = recogniser.read(one.path).text.replace(" ", "")  # the truth has no spaces
        except InvalidImage:
            said = ""
        found["page" if "\n" in one.truth else "line"].append((one.truth, said))
    result: dict[str, float] = {}
    for kind, pairs in found.items():
        result[f"{kind}s"] = len(pairs)
        if pairs:
            result[f"{kind}s_exact"] = sum(truth == said for truth, said in pairs) / len(pairs)
            errors = sum(distance(truth, said) for truth, said in pairs)
            result[f"{kind}_character_errors"] = errors / sum(len(truth) for truth, _ in pairs)
    return result if any(found.values()) else None


def distance(one: str, other: str) -> int:
    """Levenshtein distance: the fewest characters to insert, drop or replace, https://doi.org/10.1145/321796.321811."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[:], i
        for j, b in enumerate(other, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
    return row[-1]
