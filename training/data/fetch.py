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
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from training.data.unipen_format import Sample, Stroke, Unipen

RAW = "https://raw.githubusercontent.com/{0}/{1}"
ARCHIVE = "https://codeload.github.com/{0}/tar.gz/{1}"
FULL = 255  # length that the longer side of a sample is scaled to
NOBODY = "-1"  # the writer of a drawing whose author is not known
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


def unpacked(content: bytes, parts: tuple[str, ...], base: str, top: bool = True) -> dict[str, bytes]:
    """The files of a .tar.gz whose paths begin with one of `parts`, by their paths without `base`.

    top: the archive holds one folder, which does not count.
    """
    files = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            path = member.name.split("/", 1)[-1] if top else member.name
            if member.isfile() and path.startswith(parts) and (file := archive.extractfile(member)):
                files[path.removeprefix(base)] = file.read()
    return files


# UNIPEN: https://doi.org/10.5281/zenodo.1195803


def fetch_unipen(root: Path) -> None:
    repository, commit = "GreenCappuccino/train_r01_v07", "552a4d440bc94bb34710650c0826be7deb986f7c"
    parts = (*(f"data/{part}/" for part in Unipen.PARTS), "include/")
    files = unpacked(download(ARCHIVE.format(repository, commit)), parts, "")
    unipen = Unipen({path: content.decode("latin-1") for path, content in files.items()})
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


# Detexify: https://github.com/kirel/detexify-next, whose samples are those of https://github.com/kirel/detexify-data


def detexify_samples(files: dict[str, bytes]) -> Iterable[Sample]:
    """The drawings in files of one JSON object a line, without those that a review rejected; by paths below source/."""
    rejected = set(json.loads(files["reviews/rejected-samples.json"])["rejected"])
    for path in sorted(path for path in files if path.endswith(".jsonl")):
        for line in files[path].splitlines():
            drawn = json.loads(line)
            strokes = [[(point["x"], point["y"]) for point in stroke] for stroke in drawn["strokes"] if stroke]
            if strokes and drawn["id"] not in rejected and drawn["source"].get("importedFrom") == "detexify.sql.gz":
                yield drawn["symbolId"].removeprefix("latex:"), NOBODY, "", strokes


def fetch_detexify(root: Path) -> None:
    repository, commit = "kirel/detexify-next", "6831c8178c34dae2a996736a41bee111d1a41a2d"
    parts = ("packages/data/source/samples/latex/", "packages/data/source/reviews/")
    files = unpacked(download(ARCHIVE.format(repository, commit)), parts, "packages/data/source/")
    count = save_strokes(root / "detexify" / "symbols.npz", detexify_samples(files))
    print(f"Detexify: {count:,} symbols; 39,494 are expected")


# Quick, Draw!'s raw drawings, 8 to 94 of each category, and bitmaps of five categories


def sketches(files: dict[str, bytes]) -> Iterable[Sample]:
    """The drawings in .ndjson files, each cut off somewhere in its last line."""
    for path in sorted(files):
        for line in files[path].splitlines():
            try:
                drawn = json.loads(line)
            except ValueError:
                continue
            strokes = [list(zip(stroke[0], stroke[1], strict=True)) for stroke in drawn["drawing"] if stroke[0]]
            yield drawn["word"], NOBODY, drawn["countrycode"], strokes


def fetch_sketches(root: Path) -> None:
    repository, commit = "borismus/exupery", "5ab788cb27b61d790d9f289d2fb3944748115f85"
    files = unpacked(download(ARCHIVE.format(repository, commit)), ("public/sketches/",), "public/sketches/")
    count = save_strokes(root / "quickdraw345" / "drawings.npz", sketches(files))
    print(f"Quick, Draw!: {count:,} drawings of 345 categories; about 8,600 are expected")
    repository, commit = "sukumr/Doodle-Classifier", "a4fae56015125f73b2fe9e6e086cfc7444f95577"
    kinds = ("apple", "bicycle", "diamond", "eye", "fish")
    images = []
    for kind in kinds:
        content = download(RAW.format(repository, f"{commit}/data/{kind}.npy"))
        images.append(np.load(io.BytesIO(content))[1000:1800].reshape(-1, 28, 28))
    labels, nothing = np.repeat(kinds, 800), np.full(4000, "")
    np.savez_compressed(
        root / "quickdraw345" / "bitmaps.npz", images=np.concatenate(images), label=labels, source=nothing
    )


# The $1 recogniser's gesture logs: https://depts.washington.edu/acelab/proj/dollar


def gesture_samples(files: dict[str, bytes]) -> Iterable[Sample]:
    """One gesture a file: <Gesture Name="arrow01" Subject="1" Speed="slow"><Point X="1" Y="2" T="3"/>...</Gesture>."""
    for path in sorted(path for path in files if path.endswith(".xml")):
        gesture = ElementTree.fromstring(files[path])
        points = [(float(point.attrib["X"]), float(point.attrib["Y"])) for point in gesture.iter("Point")]
        yield gesture.attrib["Name"].rstrip("0123456789"), gesture.attrib["Subject"], gesture.attrib["Speed"], [points]


def fetch_gestures(root: Path) -> None:
    repository, commit = "htfy96/dollar", "a836fc22cd59633727afc3b3e4ede546e34940e2"
    files = unpacked(download(ARCHIVE.format(repository, commit)), ("test/testdata/",), "test/testdata/")
    count = save_strokes(root / "dollar1" / "gestures.npz", gesture_samples(files))
    print(f"$1 gestures: {count:,}; 5,280 are expected")


# TrashNet, as grey pictures of 96x96 pixels: https://github.com/garythung/trashnet


def fetch_things(root: Path) -> None:
    repository, commit = "lightb0x/trashnet-resize", "18c97a7ea3d0d3126ef9e2b6bb529452258ecaea"
    content = download(RAW.format(repository, f"{commit}/dataset-resized-grayscale-96.tar.gz"))
    path = root / "photos_things" / "photos.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, photograph in unpacked(content, ("",), "", top=False).items():
            if name.endswith(".jpg"):
                archive.writestr("/".join(name.split("/")[-2:]), photograph)


PUBLISHED = (
    Published("unipen", "CC BY 4.0", "https://doi.org/10.5281/zenodo.1195803", fetch_unipen),
    Published("uji_digits", "CC BY 4.0", "https://archive.ics.uci.edu/dataset/177", fetch_uji),
    Published("optdigits", "CC BY 4.0", "https://archive.ics.uci.edu/dataset/80", fetch_optdigits),
    Published("omniglot", "MIT", "https://github.com/brendenlake/omniglot", fetch_omniglot),
    Published("quickdraw", "CC BY 4.0", "https://quickdraw.withgoogle.com/data", fetch_doodles),
    Published("detexify", "ODbL 1.0", "https://github.com/kirel/detexify-data", fetch_detexify),
    Published("quickdraw345", "CC BY 4.0", "https://quickdraw.withgoogle.com/data", fetch_sketches),
    Published("dollar1", "New BSD", "https://depts.washington.edu/acelab/proj/dollar", fetch_gestures),
    Published("photos_things", "MIT", "https://github.com/garythung/trashnet", fetch_things),
)
