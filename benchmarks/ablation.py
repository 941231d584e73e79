"""What each step of the picture code is worth: how many pictures are lost when it is left out.

    python -m benchmarks.ablation [--shared FOLDER] [--record results/ablation.json]

Three sets: `made`, the photographs of benchmarks.photographs; `uploads`, the development set; `writers`, digits and
numbers of other writers on made paper (benchmarks.handwriting). FOLDER holds uploads/ and writers/; without it, `made`
alone is measured. A step of /predict is measured by its digit, of /read by the whole text; of the uploads that are no
digit, by how many are refused. Two of the five models look. The last line is JSON.
"""

import argparse
import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from benchmarks import handwriting, photographs
from benchmarks.offline import hardware
from service.inference.predictor import Predictor
from service.picture import decode, digit, framing
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.errors import InvalidImage
from service.reading import pieces, reader
from training.data import mnist

SEED = 1
QUICK = ["cnn", "vit"]  # the models that look here: all five would take four times as long
Sample = tuple[bytes, str]  # a file, and what is written on it: "" for no digit
_decoded: dict[bytes, np.ndarray | None] = {}  # None for what is refused
Change = tuple[object, str, object]  # an attribute of a module and what takes its place

PREDICT: dict[str, list[Change]] = {
    "mixture of colours": [(decode, "_mixture", lambda image: None)],
    "closer look where nothing is seen": [(digit, "CLOSER", digit.LOOK)],
    "second look": [(digit, "ZOOM", 0)],
    "nearly framed": [(digit, "_is_nearly_framed", lambda *found: False)],
    "specks": [(digit, "SPECK", 0)],
    "neighbours": [(digit, "NEAR", 99)],
    "ink at the edge counts less": [(digit, "AT_EDGE", 1)],
    "sure of the ink": [(digit, "is_sure", lambda ink: True)],
    "thickening": [(framing, "THIN", 0)],
}
READ: dict[str, list[Change]] = {
    "mixture of colours": PREDICT["mixture of colours"],
    "second look": [(reader, "MOST_PAGE", digit.LOOK)],
    "seams": [(reader, "cut", lambda lines, *others: lines)],
    "seams where the detector sees digits": [(pieces, "_seen", lambda small, looks: np.zeros(0))],
    "digits of several pieces": [(reader, "TOGETHER", 1)],
    "connected: all digits or none": [(reader, "_is_torn", lambda line, start, stop: False)],
    "sure of the ink": [(reader, "is_sure", lambda ink: True)],
    "company": [(reader, "COMPANY", 2)],
    "words": [(reader, "MOSTLY", 0)],
    "turns": [(reader, "UNSURE", 0)],
    "thickening": PREDICT["thickening"],
}


@contextmanager
def left_out(changes: list[Change]) -> Iterator[None]:
    """Put something else in the place of what a step needs."""
    kept = [(place, name, getattr(place, name)) for place, name, _ in changes]
    for place, name, other in changes:
        setattr(place, name, other)
    try:
        yield
    finally:
        for place, name, own in kept:
            setattr(place, name, own)


def _grey(data: bytes) -> np.ndarray:
    """A file decoded, once for all steps that do not change how. Raises InvalidImage."""
    if data not in _decoded:
        try:
            _decoded[data] = grey_from_upload(data, 10**9, FORMATS)[0]
        except InvalidImage:
            _decoded[data] = None
    picture = _decoded[data]
    if picture is None:
        raise InvalidImage
    return picture


def right_predictions(samples: list[Sample], predictor: Predictor) -> int:
    """How many digits are right, and how many pictures without one are refused."""
    right = 0
    for data, truth in samples:
        try:
            seen = digit.canonicalise(_grey(data), predictor.finder)
        except InvalidImage:
            right += not truth
        else:
            verdict = predictor.classify(seen.image[None, None], QUICK).verdicts[0]
            accepted = seen.is_sure and verdict.accepted
            right += seen.is_sure and str(verdict.digit) == truth if truth else not accepted
    return right


def right_texts(samples: list[Sample], predictor: Predictor) -> int:
    """How many pictures are read without a mistake; lines are separated by |, as in the index of the uploads."""
    right = 0
    for data, truth in samples:
        lines: dict[int, str] = {}
        with suppress(InvalidImage):
            for mark in reader.read(_grey(data), predictor, predictor.finder, QUICK).readings:
                if mark.accepted:
                    lines[mark.line] = lines.get(mark.line, "") + str(mark.digit)
        right += "|".join(lines[line] for line in sorted(lines)) == truth
    return right


def made(count: int) -> tuple[list[Sample], list[Sample]]:
    """So many photographs of each hardship, of a digit and of a number each."""
    images, labels = (tensor[: 5 * count].numpy() for tensor in mnist.load("validation", None))
    generator = np.random.default_rng(SEED)
    digits, rows = [], []
    for hardship in photographs.HARDSHIPS:
        for number in range(count):
            five = slice(5 * number, 5 * number + 5)
            one = photographs.photographed(hardship, images[five][:1, 0], generator)
            digits.append((one, str(labels[five][0])))
            row = photographs.photographed(hardship, images[five][:, 0], generator)
            rows.append((row, "".join(map(str, labels[five]))))
    return digits, rows


def uploads(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Digits and others; numbers."""
    rows = list(csv.DictReader((folder / "index.csv").read_text().splitlines()))
    rows = [row for row in rows if row["kind"] != "lookalike"]
    samples = [((folder / row["path"]).read_bytes(), row["truth"]) for row in rows]
    return [one for one in samples if len(one[1]) < 2], [one for one in samples if len(one[1]) > 1]


def measure(
    steps: dict[str, list[Change]],
    samples: dict[str, list[Sample]],
    right: Callable[[list[Sample], Predictor], int],
    predictor: Predictor,
) -> dict[str, dict[str, int]]:
    """How many of each set are right with every step, and with each left out."""
    rows: dict[str, dict[str, int]] = {}
    for name, changes in {"nothing": [], **steps}.items():
        with left_out(changes):
            if any(place is decode for place, _, _ in changes):
                _decoded.clear()
            rows[name] = {key: right(part, predictor) for key, part in samples.items()}
        if any(place is decode for place, _, _ in changes):
            _decoded.clear()
        full = dict.fromkeys(samples, 0) if name == "nothing" else rows["nothing"]
        print(f"{name:40}" + "".join(f"{rows[name][key] - full[key]:8}" for key in samples), flush=True)
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, help="folder of uploads/ and writers/; default: neither is measured")
    parser.add_argument("--count", type=int, default=25, help="made photographs of each hardship; default: 25")
    parser.add_argument("--writers", type=int, default=300, help="digits by other writers; default: 300")
    parser.add_argument("--route", choices=("predict", "read"), help="default: both")
    parser.add_argument("--record", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    predictor = Predictor(Path("models"), "cpu", len(os.sched_getaffinity(0)))
    one, many = ({"made": part} for part in made(arguments.count))
    if arguments.shared:
        generator = np.random.default_rng(SEED)
        one["uploads"], many["uploads"] = uploads(arguments.shared / "uploads")
        one["writers"] = handwriting.digits(arguments.shared / "writers", arguments.writers, generator)
        many["writers"] = handwriting.numbers(arguments.shared / "writers", arguments.writers // 4, generator)
    result: dict[str, dict[str, object]] = {
        "setting": {"hardware": hardware(), "seed": SEED, "models": QUICK},
        "predict": {"count": {key: len(part) for key, part in one.items()}},
        "read": {"count": {key: len(part) for key, part in many.items()}},
    }
    for route, steps, samples, right in (
        ("predict", PREDICT, one, right_predictions),
        ("read", READ, many, right_texts),
    ):
        if arguments.route not in (None, route):
            continue
        print(f"/{route}: right of {result[route]['count']}, and how many more or fewer without a step")
        result[route]["right"] = measure(steps, samples, right, predictor)
    if arguments.record:
        known = json.loads(arguments.record.read_text()) if arguments.record.exists() and arguments.route else {}
        if arguments.route:
            result = known | {key: result[key] for key in ("setting", arguments.route)}
        arguments.record.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
