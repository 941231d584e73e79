"""Download the other writers' data from their publishers and convert it to the form that this package reads.

Each file comes from a fixed commit of a public repository. Known SHA-256 sums are checked, and the sizes of the parsed
sets are printed beside the published sizes. This repository stores none of the data.
"""

import hashlib
import io
import json
import re
import tarfile
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.unipen_format import Sample, Stroke, Unipen

RAW = "https://raw.githubusercontent.com/{0}/{1}"
ARCHIVE = "https://codeload.github.com/{0}/tar.gz/{1}"
FULL = 255  # length that the longer side of a sample is scaled to
STRAIGHT = 0.7  # units of that length: a point closer than this to the line between its neighbours is left out


@dataclass(frozen=True)
class Published:
    """One data set: its licence, its address, and the function that downloads and converts it."""

    name: str
    licence: str
    address: str
    fetch: Callable[[Path], None]


def download(address: str, sha256: str | None = None) -> bytes:
    """The content of an address. Raises OSError if it cannot be downloaded, ValueError if its SHA-256 differs."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        content = answer.read()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ValueError(f"{address} has SHA-256 {found}; expected {sha256}.")
    print(f"{address}: {len(content):,} bytes, SHA-256 {found}{' (as expected)' if sha256 else ''}")
    return content


def save_strokes(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples in the form that `training.data.strokes.Strokes` loads. Returns their number."""
    points, strokes, counts, about = [], [], [], []
    for label, writer, collection, drawn in samples:
        scaled = scale(drawn)
        counts.append(len(scaled))
        strokes += [len(stroke) for stroke in scaled]
        points += scaled
        about.append((label, writer, collection))
    labels, writers, collections = (np.array(column) for column in zip(*about, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        points=np.concatenate(points).astype(np.uint8),
        stroke=np.concatenate([[0], np.cumsum(strokes)]),
        sample=np.concatenate([[0], np.cumsum(counts)]),
        label=labels,
        writer=writers.astype(int),
        source=collections,
    )
    return len(labels)


def scale(strokes: list[Stroke]) -> list[np.ndarray]:
    """Move strokes to the origin, scale their longer side to FULL, and drop points on straight lines."""
    everything = np.concatenate([np.array(stroke, float) for stroke in strokes])
    low, longest = everything.min(0), np.ptp(everything, 0).max()
    factor = FULL / longest if longest else 0.0
    return [np.round(simplified((np.array(stroke, float) - low) * factor)).astype(int) for stroke in strokes]


def simplified(points: np.ndarray) -> np.ndarray:
    """Points (N, 2) simplified by Douglas and Peucker's algorithm with the tolerance STRAIGHT."""
    if len(points) < 3:
        return points
    along = points[-1] - points[0]
    away = points[1:-1] - points[0]
    length = np.hypot(*along)
    distance = np.abs(along[0] * away[:, 1] - along[1] * away[:, 0]) / length if length else np.hypot(*away.T)
    far = int(distance.argmax()) + 1
    if distance[far - 1] <= STRAIGHT:
        return points[[0, -1]]
    return np.concatenate([simplified(points[: far + 1])[:-1], simplified(points[far:])])


# UNIPEN: https://doi.org/10.5281/zenodo.1195803


def fetch_unipen(root: Path) -> None:
    repository, commit = "GreenCappuccino/train_r01_v07", "552a4d440bc94bb34710650c0826be7deb986f7c"
    files = {}
    with tarfile.open(fileobj=io.BytesIO(download(ARCHIVE.format(repository, commit)))) as archive:
        for member in archive:
            path = member.name.split("/", 1)[-1]
            if member.isfile() and path.startswith((*(f"data/{part}/" for part in Unipen.PARTS), "include/")):
                file = archive.extractfile(member)
                files[path] = file.read().decode("latin-1") if file else ""
    unipen = Unipen(files)
    for part, expected in Unipen.COUNTS.items():
        count = save_strokes(root / "unipen" / f"{part}.npz", unipen.samples(part))
        print(f"UNIPEN {part}: {count:,} samples; the CD's table says {expected:,}")


# UJIpenchars2: https://archive.ics.uci.edu/dataset/177


def uji_samples(content: bytes) -> Iterable[Sample]:
    """The digits of ujipenchars2.json: {"rawData": {digit: [sample]}}. A writer's two samples follow each other."""
    for digit, samples in sorted(json.loads(content)["rawData"].items()):
        for number, strokes in enumerate(samples):
            yield digit, str(number // 2), "", [[(x, y) for x, y in stroke] for stroke in strokes]


def fetch_uji(root: Path) -> None:
    where = "bridger/NumberPad", "de2f2285144d16346bffdd37b94af75eb6fa2d13/Data/ujipenchars2.json"
    count = save_strokes(root / "uji_digits" / "digits.npz", uji_samples(download(RAW.format(*where))))
    print(f"UJIpenchars2: {count:,} digits; 1,200 are expected")


# optdigits: https://archive.ics.uci.edu/dataset/80


def bitmaps(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Bitmaps (N, 32, 32) uint8 of 0 and 1, and labels (N,). In UCI's file the label follows 32 lines of 32 bits."""
    lines = [line.strip() for line in content.decode().splitlines()]
    found, rows = [], []
    for line in lines:
        if re.fullmatch("[01]{32}", line):
            rows.append([int(bit) for bit in line])
        elif re.fullmatch("[0-9]", line) and len(rows) >= 32:
            found.append((rows[-32:], int(line)))
            rows = []
    images, labels = zip(*found, strict=True)
    return np.array(images, np.uint8), np.array(labels, np.uint8)


def fetch_optdigits(root: Path) -> None:
    first = (
        "vladimirbelinski/Character_Recognition_Using_Neural_Networks-T3_IA",
        "1a9bbaf4fa3b90a7e38824fafa6d29b22592edec",
    )
    name = "sukeshsangam/pattern-recognition-neural-networks"
    second = name, "3b06ae726302dfcf384c1eec5ac6f2b71ae7ff53"
    files = {"train": (first, "tra"), "cv": (first, "tes"), "other_writers": (second, "windep")}
    images, labels, parts = [], [], []
    for part, ((repository, commit), suffix) in files.items():
        drawn, label = bitmaps(download(RAW.format(repository, f"{commit}/optdigits-orig.{suffix}")))
        images.append(np.packbits(drawn, axis=2))
        labels.append(label)
        parts += [part] * len(label)
    path = root / "optdigits" / "optdigits.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, images=np.concatenate(images), label=np.concatenate(labels), part=np.array(parts))
    print(f"optdigits: {len(parts):,} digits; 4,677 are expected")


# Omniglot: https://github.com/brendenlake/omniglot

OMNIGLOT = {
    "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
}


def fetch_omniglot(root: Path) -> None:
    (root / "omniglot").mkdir(parents=True, exist_ok=True)
    for name, sha256 in OMNIGLOT.items():
        where = "brendenlake/omniglot", f"057f034baf2ecb8530bc5710e5a23584d2a519cc/python/{name}"
        (root / "omniglot" / name).write_bytes(download(RAW.format(*where), sha256))


# Quick, Draw!: https://quickdraw.withgoogle.com/data

DOODLES = {"cats1000.bin": "cat", "rainbows1000.bin": "rainbow", "trains1000.bin": "train"}


def fetch_doodles(root: Path) -> None:
    repository = "CodingTrain/Toy-Neural-Network-JS"
    folder = "8c48c834b025f5943dce343376fa9490329e1e3e/examples/doodle_classification/data"
    images = [
        np.frombuffer(download(RAW.format(repository, f"{folder}/{name}")), np.uint8).reshape(-1, 28, 28)
        for name in DOODLES
    ]
    path = root / "quickdraw" / "doodles.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    labels = np.repeat(list(DOODLES.values()), [len(part) for part in images])
    np.savez_compressed(path, images=np.concatenate(images), label=labels)


PUBLISHED = (
    Published("unipen", "CC BY 4.0", "https://doi.org/10.5281/zenodo.1195803", fetch_unipen),
    Published("uji_digits", "CC BY 4.0", "https://archive.ics.uci.edu/dataset/177", fetch_uji),
    Published("optdigits", "CC BY 4.0", "https://archive.ics.uci.edu/dataset/80", fetch_optdigits),
    Published("omniglot", "MIT", "https://github.com/brendenlake/omniglot", fetch_omniglot),
    Published("quickdraw", "CC BY 4.0", "https://quickdraw.withgoogle.com/data", fetch_doodles),
)
