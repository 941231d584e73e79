"""Download the other writers' data from public repositories and convert it to the form that this package reads.

Every file has a checksum: git fetches a fixed commit, whose name is the hash of all that it holds, and refuses an
object that is not what its name says. MNIST is checked by torchvision. This repository stores none of the data.
"""

import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np

from training.data.writers import folder

Stroke = list[tuple[float, float]]  # points, y downwards
Sample = tuple[str, str, str, list[Stroke]]  # label, writer, collection, strokes

SEGMENT = re.compile(r'\.SEGMENT\s+(?P<kind>CHARACTER|WORD)\s+(?P<where>\S+)\s+\S+\s+"(?P<label>.*)"\s*$')
NUMBER = re.compile("[0-9]{2,7}")
HOST = "https://github.com/{0}"
FULL = 255  # length that the longer side of a sample is scaled to
NOBODY = "-1"  # the writer of a drawing whose author is not known
STRAIGHT = 0.7 / 255  # of that length: a point closer than this to the line between its neighbours is left out
FULL_OF_NUMBERS = 1023  # the same length for whole numbers


@dataclass(frozen=True)
class Published:
    """One data set: its licence, its address, its files, and what downloads it into a folder and converts it."""

    name: str  # of its folder
    licence: str
    address: str
    files: tuple[str, ...]
    into: Callable[[Path], None]
    needed: bool = True  # by each recipe that does not train on MNIST alone

    def missing(self, root: Path) -> list[Path]:
        """Those of its files that are not in the folder `root`."""
        return [path for path in (root / self.name / file for file in self.files) if not path.is_file()]

    def fetch(self, root: Path) -> None:
        (root / self.name).mkdir(parents=True, exist_ok=True)
        self.into(root / self.name)


def checkout(repository: str, commit: str, *parts: str) -> dict[str, bytes]:
    """The files of a commit whose paths begin with one of `parts`, which are files or folders, by their paths.

    Raises OSError with git's last line if it cannot fetch the commit, or if what it gets has another hash.
    """
    found = {}
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        git(folder, "init", "--quiet")
        git(folder, "remote", "add", "origin", HOST.format(repository))
        git(folder, "fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", commit)
        git(folder, "checkout", "--quiet", commit, "--", *parts)  # fetches these files, and no others
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not name.startswith(".git/"):
                found[name] = path.read_bytes()
    print(f"{HOST.format(repository)}, commit {commit}: {len(found):,} files", flush=True)
    return found


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder. Raises OSError with its last line if it fails, or says that it is missing."""
    command = ["git", "-C", str(folder), "-c", "core.autocrlf=false", *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise OSError("git is missing; it fetches the data and checks it.") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines() or [f"status {error.returncode}"]
        raise OSError(f"git {arguments[0]} failed: {said[-1]}.") from error


def counted(what: str, count: int, expected: int) -> None:
    """Print how many samples were read of a set, and how many it should have."""
    print(f"{what}: {count:,} samples" + (f"; {expected:,} are expected" if count != expected else ""), flush=True)


def save_strokes(path: Path, samples: Iterable[Sample], full: int = FULL) -> int:
    """Write samples in the form that `training.data.strokes.Strokes` loads. Returns their number.

    full: length that the longer side of a sample is scaled to.
    """
    points, strokes, counts, about = [], [], [], []
    for label, writer, collection, drawn in samples:
        scaled = scale(drawn, full)
        counts.append(len(scaled))
        strokes += [len(stroke) for stroke in scaled]
        points += scaled
        about.append((label, writer, collection))
    labels, writers, collections = (np.array(column) for column in zip(*about, strict=True))
    np.savez_compressed(
        path,
        points=np.concatenate(points).astype(np.uint8 if full <= 255 else np.uint16),
        stroke=np.concatenate([[0], np.cumsum(strokes)]),
        sample=np.concatenate([[0], np.cumsum(counts)]),
        label=labels,
        writer=writers.astype(int),
        source=collections,
    )
    return len(labels)


def scale(strokes: list[Stroke], full: int = FULL) -> list[np.ndarray]:
    """Move strokes to the origin, scale their longer side to `full`, and drop points on straight lines."""
    everything = np.concatenate([np.array(stroke, float) for stroke in strokes])
    low, longest = everything.min(0), np.ptp(everything, 0).max()
    factor, straight = full / longest if longest else 0.0, STRAIGHT * full
    moved = [(np.array(stroke, float) - low) * factor for stroke in strokes]
    return [np.round(simplified(points, straight)).astype(int) for points in moved]


def simplified(points: np.ndarray, straight: float) -> np.ndarray:
    """Points (N, 2) simplified by Douglas and Peucker's algorithm with the tolerance `straight`."""
    if len(points) < 3:
        return points
    along = points[-1] - points[0]
    away = points[1:-1] - points[0]
    length = np.hypot(*along)
    distance = np.abs(along[0] * away[:, 1] - along[1] * away[:, 0]) / length if length else np.hypot(*away.T)
    far = int(distance.argmax()) + 1
    if distance[far - 1] <= straight:
        return points[[0, -1]]
    return np.concatenate([simplified(points[: far + 1], straight)[:-1], simplified(points[far:], straight)])


# UNIPEN: https://doi.org/10.5281/zenodo.1195803


class Unipen:
    """UNIPEN's text files (https://doi.org/10.1109/ICPR.1994.576870), parsed into labelled samples of pen strokes.

    The files of train_r01_v07 are data/CATEGORY/CONTRIBUTOR/... with segments of strokes in include/CONTRIBUTOR/...
    Contributors and writers become numbers in the order in which they appear.
    """

    PARTS = {"1a": "digits", "1b": "upper", "1c": "lower", "1d": "symbols", "7": "numbers"}
    # The CD's own table has nine lower letters less, and counts 1,585 fragments labelled "\\@" as symbols.
    COUNTS = {"digits": 15_953, "upper": 28_069, "lower": 61_360, "symbols": 15_701, "numbers": 790}

    def __init__(self, files: dict[str, str]) -> None:
        """files: texts by their paths below the repository."""
        self.files = files
        self.writers: dict[str, int] = {}
        self.collections: dict[str, int] = {}

    def samples(self, part: str) -> Iterable[Sample]:
        """The labelled samples of a part, such as "digits": single characters, or words that are numbers."""
        category = next(key for key, name in self.PARTS.items() if name == part)
        for path in sorted(path for path in self.files if path.startswith(f"data/{category}/")):
            contributor = path.split("/")[2]
            lines = self.included(path)
            strokes = components(lines)
            writer = next((line.split(maxsplit=1)[1] for line in lines if line.startswith(".WRITER_ID ")), path)
            number = self.writers.setdefault(f"{contributor} {writer}", len(self.writers))
            collection = self.collections.setdefault(contributor, len(self.collections))
            for line in self.files[path].splitlines():
                if (found := SEGMENT.match(line)) and belongs(part, found["kind"], found["label"]):
                    drawn = [
                        stroke for at in components_of(found["where"]) for stroke in strokes[at : at + 1] if stroke
                    ]
                    if drawn:
                        yield found["label"], str(number), str(collection), drawn

    def included(self, path: str, depth: int = 0) -> list[str]:
        """The lines of a file; each .INCLUDE line is replaced by the lines of the included file."""
        lines = []
        for line in self.files[path].splitlines():
            included = f"include/{line.split(maxsplit=1)[1].strip()}" if line.startswith(".INCLUDE ") else ""
            if included in self.files and depth < 5:
                lines += self.included(included, depth + 1)
            else:
                lines.append(line)
        return lines


def belongs(part: str, kind: str, label: str) -> bool:
    """Whether a segment is a sample of a part."""
    if part == "numbers":
        return kind == "WORD" and NUMBER.fullmatch(label) is not None
    return kind == "CHARACTER" and len(label) == 1


def components_of(where: str) -> list[int]:
    """The pen components of a segment: "2-3,7" means 2, 3 and 7; "4:10-5:2" means 4 and 5, its points are ignored."""
    found = []
    for part in where.split(","):
        ends = [int(end.split(":")[0]) for end in part.split("-")]
        found += range(ends[0], ends[-1] + 1)
    return found


def components(lines: list[str]) -> list[Stroke]:
    """The pen components in UNIPEN's lines, y downwards, in inches if the resolution is known.

    The component of a lifted pen is empty.
    """
    columns, per_x, per_y = ["X", "Y"], 1.0, 1.0
    found: list[Stroke] = []
    down = False
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == ".COORD":
            columns = words[1:]
        elif words[0] == ".X_POINTS_PER_INCH":
            per_x = float(words[1])
        elif words[0] == ".Y_POINTS_PER_INCH":
            per_y = float(words[1])
        elif words[0] in (".PEN_DOWN", ".PEN_UP"):
            down = words[0] == ".PEN_DOWN"
            found.append([])
        elif not words[0].startswith(".") and down and len(words) >= len(columns):
            x, y = float(words[columns.index("X")]), float(words[columns.index("Y")])
            found[-1].append((x / per_x, -y / per_y))
    return found


def fetch_unipen(folder: Path) -> None:
    commit, parts = "552a4d440bc94bb34710650c0826be7deb986f7c", (f"data/{part}/" for part in Unipen.PARTS)
    files = checkout("GreenCappuccino/train_r01_v07", commit, *parts, "include/")
    unipen = Unipen({path: content.decode("latin-1") for path, content in files.items()})
    for part, expected in Unipen.COUNTS.items():
        full = FULL_OF_NUMBERS if part == "numbers" else FULL
        counted(f"UNIPEN {part}", save_strokes(folder / f"{part}.npz", unipen.samples(part), full), expected)


# UJIpenchars2: https://archive.ics.uci.edu/dataset/177


def uji_samples(content: bytes) -> Iterable[Sample]:
    """The digits of ujipenchars2.json: {"rawData": {digit: [sample]}}. A writer's two samples follow each other."""
    for digit, samples in sorted(json.loads(content)["rawData"].items()):
        for number, strokes in enumerate(samples):
            yield digit, str(number // 2), "", [[(x, y) for x, y in stroke] for stroke in strokes]


def fetch_uji(folder: Path) -> None:
    commit, name = "de2f2285144d16346bffdd37b94af75eb6fa2d13", "Data/ujipenchars2.json"
    content = checkout("bridger/NumberPad", commit, name)[name]
    counted("UJIpenchars2", save_strokes(folder / "digits.npz", uji_samples(content)), 1200)


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


def fetch_optdigits(folder: Path) -> None:
    first = (
        "vladimirbelinski/Character_Recognition_Using_Neural_Networks-T3_IA",
        "1a9bbaf4fa3b90a7e38824fafa6d29b22592edec",
    )
    second = "sukeshsangam/pattern-recognition-neural-networks", "3b06ae726302dfcf384c1eec5ac6f2b71ae7ff53"
    images, labels, parts = [], [], []
    for part, source, suffix in (("train", first, "tra"), ("cv", first, "tes"), ("other_writers", second, "windep")):
        (content,) = checkout(*source, f"optdigits-orig.{suffix}").values()
        drawn, label = bitmaps(content)
        images.append(np.packbits(drawn, axis=2))
        labels.append(label)
        parts += [part] * len(label)
    counted("optdigits", len(parts), 4677)
    path = folder / "optdigits.npz"
    np.savez_compressed(path, images=np.concatenate(images), label=np.concatenate(labels), part=np.array(parts))


# Omniglot: https://github.com/brendenlake/omniglot

OMNIGLOT = ("images_background_small1.zip", "images_background_small2.zip")


def fetch_omniglot(folder: Path) -> None:
    commit = "057f034baf2ecb8530bc5710e5a23584d2a519cc"
    for path, content in checkout("brendenlake/omniglot", commit, *(f"python/{name}" for name in OMNIGLOT)).items():
        (folder / Path(path).name).write_bytes(content)


# Quick, Draw!: https://quickdraw.withgoogle.com/data

DOODLES = {"cats1000.bin": "cat", "rainbows1000.bin": "rainbow", "trains1000.bin": "train"}


def fetch_doodles(folder: Path) -> None:
    commit, base = "8c48c834b025f5943dce343376fa9490329e1e3e", "examples/doodle_classification/data"
    files = checkout("CodingTrain/Toy-Neural-Network-JS", commit, *(f"{base}/{name}" for name in DOODLES))
    images = [np.frombuffer(files[f"{base}/{name}"], np.uint8).reshape(-1, 28, 28) for name in DOODLES]
    labels = np.repeat(list(DOODLES.values()), [len(part) for part in images])
    np.savez_compressed(folder / "doodles.npz", images=np.concatenate(images), label=labels)


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


def fetch_detexify(folder: Path) -> None:
    commit, base = "6831c8178c34dae2a996736a41bee111d1a41a2d", "packages/data/source/"
    files = checkout("kirel/detexify-next", commit, f"{base}samples/latex/", f"{base}reviews/")
    files = {path.removeprefix(base): content for path, content in files.items()}
    counted("Detexify", save_strokes(folder / "symbols.npz", detexify_samples(files)), 39_494)


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


def fetch_sketches(folder: Path) -> None:
    files = checkout("borismus/exupery", "5ab788cb27b61d790d9f289d2fb3944748115f85", "public/sketches/")
    count = save_strokes(folder / "drawings.npz", sketches(files))
    print(f"Quick, Draw!: {count:,} drawings of 345 categories; about 8,600 are expected")
    commit, kinds = "a4fae56015125f73b2fe9e6e086cfc7444f95577", ("apple", "bicycle", "diamond", "eye", "fish")
    files = checkout("sukumr/Doodle-Classifier", commit, *(f"data/{kind}.npy" for kind in kinds))
    images = [np.load(io.BytesIO(files[f"data/{kind}.npy"]))[1000:1800].reshape(-1, 28, 28) for kind in kinds]
    labels, nothing = np.repeat(kinds, 800), np.full(4000, "")
    np.savez_compressed(folder / "bitmaps.npz", images=np.concatenate(images), label=labels, source=nothing)


# The $1 recogniser's gesture logs: https://depts.washington.edu/acelab/proj/dollar


def gesture_samples(files: dict[str, bytes]) -> Iterable[Sample]:
    """One gesture a file: <Gesture Name="arrow01" Subject="1" Speed="slow"><Point X="1" Y="2" T="3"/>...</Gesture>."""
    for path in sorted(path for path in files if path.endswith(".xml")):
        gesture = ElementTree.fromstring(files[path])
        points = [(float(point.attrib["X"]), float(point.attrib["Y"])) for point in gesture.iter("Point")]
        yield gesture.attrib["Name"].rstrip("0123456789"), gesture.attrib["Subject"], gesture.attrib["Speed"], [points]


def fetch_gestures(folder: Path) -> None:
    files = checkout("htfy96/dollar", "a836fc22cd59633727afc3b3e4ede546e34940e2", "test/testdata/")
    counted("$1 gestures", save_strokes(folder / "gestures.npz", gesture_samples(files)), 5280)


# TrashNet, as grey pictures of 96x96 pixels: https://github.com/garythung/trashnet


def photographs(content: bytes) -> dict[str, bytes]:
    """The JPEGs of a .tar.gz, by their last folder and their name."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg") and (file := archive.extractfile(member)):
                files["/".join(member.name.split("/")[-2:])] = file.read()
    return files


def fetch_things(folder: Path) -> None:
    commit, name = "18c97a7ea3d0d3126ef9e2b6bb529452258ecaea", "dataset-resized-grayscale-96.tar.gz"
    content = checkout("lightb0x/trashnet-resize", commit, name)[name]
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path, photograph in photographs(content).items():
            archive.writestr(path, photograph)


UNIPEN = tuple(f"{part}.npz" for part in Unipen.COUNTS)
DETEXIFY, TRASHNET = "https://github.com/kirel/detexify-data", "https://github.com/garythung/trashnet"
UCI, DRAW = "https://archive.ics.uci.edu/dataset", "https://quickdraw.withgoogle.com/data"
DOLLAR = "https://depts.washington.edu/acelab/proj/dollar"
SKETCHES = "drawings.npz", "bitmaps.npz"

PUBLISHED = (
    Published("unipen", "CC BY 4.0", "https://doi.org/10.5281/zenodo.1195803", UNIPEN, fetch_unipen),
    Published("uji_digits", "CC BY 4.0", f"{UCI}/177", ("digits.npz",), fetch_uji),
    Published("optdigits", "CC BY 4.0", f"{UCI}/80", ("optdigits.npz",), fetch_optdigits),
    Published("omniglot", "MIT", "https://github.com/brendenlake/omniglot", OMNIGLOT, fetch_omniglot),
    Published("quickdraw", "CC BY 4.0", DRAW, ("doodles.npz",), fetch_doodles),
    Published("detexify", "ODbL 1.0", DETEXIFY, ("symbols.npz",), fetch_detexify, needed=False),
    Published("quickdraw345", "CC BY 4.0", DRAW, SKETCHES, fetch_sketches, needed=False),
    Published("dollar1", "New BSD", DOLLAR, ("gestures.npz",), fetch_gestures, needed=False),
    Published("photos_things", "MIT", TRASHNET, ("photos.zip",), fetch_things, needed=False),
)


def check(root: Path | None, writers: Path | None, mnist_alone: bool = False) -> None:
    """Raise FileNotFoundError if data is missing that a training needs. The sentence says how to fetch it.

    root: folder of MNIST; writers: folder of the other sets; None: the default folders.
    """
    raw = Path(root or os.environ.get("MNIST_ROOT") or "data") / "MNIST" / "raw"
    writers = folder(writers)
    images = [raw / f"{prefix}-images-idx3-ubyte.gz" for prefix in ("train", "t10k")]
    missing = [path for path in images if not path.is_file() and not path.with_suffix("").is_file()]
    if not mnist_alone:
        missing += [path for published in PUBLISHED if published.needed for path in published.missing(writers)]
    if missing:
        others = len(missing) - 1
        more = f" and {others} other file{'s' * (others > 1)} are" if others else " is"
        raise FileNotFoundError(f"{missing[0]}{more} missing; fetch all data with: make data")
