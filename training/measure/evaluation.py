"""Measure each artefact and their consensus, and fit the consensus.

Only this module and the report open the test images. Training, export and the fit of the consensus use only validation
images.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from tqdm import tqdm

from service.inference.artefact import JUDGE, Artefact, open_artefact, open_finder, open_helper
from service.inference.consensus import Calibration, key, mean_probabilities
from service.inference.device import open_session
from service.picture.digit import canonicalise
from service.picture.ink import FILE, InkFinder
from service.recogniser import Recogniser
from training.data import doodles, drawings, glyphs, mnist, omniglot, optdigits, uji, unipen
from training.data.augmentation import several
from training.data.unipen import SLASHED
from training.data.writers import Source
from training.measure import detection
from training.measure.figures import figures, intervals, separation, share
from training.measure.folder import Labelled, measure_digits, measure_numbers
from training.recipe import NONE
from training.records import CONSENSUS, MEASURED, PROBABILITIES, voters
from training.release import (
    BY_CONFIDENCE,
    REFUSED,
    TOGETHER,
    fit_consensus,
    least_is_digit,
    set_properties,
    write_consensus,
)
from training.task import Data

BATCH = 250
SEED = 0  # for drawing strokes and composing frames of several digits
SPLITS = "validation", "test"  # of MNIST
OWN = "images", "numbers"  # the figures of the user's own images


@dataclass(frozen=True)
class Images:
    """A set of images, all digits or all non-digits."""

    images: np.ndarray  # (N, 1, 28, 28) uint8
    labels: np.ndarray  # (N,) int64; NONE for non-digits
    kinds: np.ndarray | None = None  # (N,) str: the character that was written
    writers: int | None = None  # number of writers, if known

    @property
    def digits(self) -> bool:
        return bool((self.labels != NONE).all())


def evaluate(names: list[str], models: Path, data: Data) -> tuple[dict[str, Any], "Answers"]:
    """Measure the artefacts `names` on MNIST, and on the other writers' sets if they exist.

    Returns the figures by name, with the consensus of all as one of the names, and the answers behind the figures.
    """
    finder = open_finder(models / FILE, os.cpu_count() or 1)
    sets = dict(of_mnist(data.root, finder))
    try:
        sets |= dict(of_writers(data.writers)) | dict(of_foreign(data.writers))
    except FileNotFoundError as error:
        tqdm.write(f"The other writers' sets are left out: {error}")
    answers = Answers(sets)
    if (models / f"{JUDGE}.onnx").exists():
        answers.judge(open_helper(models / f"{JUDGE}.onnx", os.cpu_count() or 1, "images", JUDGE))
    canvases = detection.pages(*mnist.load("test", data.root))
    found: dict[str, Any] = {}
    of_pages: dict[str, Any] = {}
    for name in names:
        artefact = open_artefact(models / f"{name}.onnx", "cpu", os.cpu_count() or 1)
        answers.add(name, artefact)
        if "boxes" in artefact.outputs:
            boxes, scores = detection.find(artefact.session, canvases[0])
            of_pages[name] = {"detection": detection.precision(boxes, scores, canvases[1])}
    answers.fit(names)
    for name in names:
        found[name] = answers.describe([name], answers.of[name]) | of_pages.get(name, {})
    together = answers.together(names)
    found[CONSENSUS] = answers.describe(names, together)
    if answers.is_digit:
        found[CONSENSUS]["least_is_digit"] = answers.on_cpu.least_is_digit
    found[CONSENSUS]["weights"] = answers.on_cpu.weight
    found[CONSENSUS]["test_intervals"] = intervals(together["test"], sets["test"].labels)
    return found, answers


class Answers:
    """Each model's answers to each set, and the temperatures and thresholds fitted on validation images.

    All figures are measured on a CPU, where some models compute in 8 bits. A GPU computes these models in floats, so
    temperatures and thresholds are also fitted to their answers in floats.
    """

    def __init__(self, sets: dict[str, Images]) -> None:
        self.sets = sets
        self.of: dict[str, dict[str, np.ndarray]] = {}  # by model and set: probabilities (N, 10)
        self.in_floats: dict[str, np.ndarray] = {}  # by model: probabilities (N, 10) of the validation images
        self.is_digit: dict[str, np.ndarray] = {}  # by set: scores (N,) of the network is_digit; empty without it
        self.on_cpu = self.floats = Calibration(temperature={}, threshold={})

    def judge(self, session: onnxruntime.InferenceSession) -> None:
        """Run the network is_digit over every set."""
        self.is_digit = {title: run(session, JUDGE, images.images, title) for title, images in self.sets.items()}

    def add(self, name: str, artefact: Artefact) -> None:
        """Run one artefact over every set."""
        self.of[name] = {
            title: run(artefact.session, "probabilities", images.images, f"{name} {title}")
            for title, images in self.sets.items()
        }
        self.in_floats[name] = self.of[name]["validation"]
        if in_8_bits(artefact):
            session = open_session(artefact.content, "cpu", os.cpu_count() or 1, floats=True)
            self.in_floats[name] = run(session, "probabilities", self.sets["validation"].images, f"{name} in floats")

    def fit(self, names: list[str]) -> None:
        """Fit the consensus of every subset of `names`, and the least score of is_digit beside all of them."""
        labels = self.sets["validation"].labels
        refused = BY_CONFIDENCE if self.is_digit else REFUSED
        self.on_cpu = fit_consensus({name: self.of[name]["validation"] for name in names}, labels, refused)
        self.floats = fit_consensus({name: self.in_floats[name] for name in names}, labels, refused)
        if self.is_digit:
            there = [title for title in TOGETHER if title in self.sets]
            unsure = {title: ~self.accepted(names, self.together(names)[title], title) for title in there}
            least = least_is_digit({title: self.is_digit[title] for title in there}, unsure)
            self.on_cpu = self.on_cpu.model_copy(update={"least_is_digit": least})
            self.floats = self.floats.model_copy(update={"least_is_digit": least})

    def accepted(self, names: list[str], said: np.ndarray, title: str) -> np.ndarray:
        """Which images of a set are accepted, (N,) bool; said: the probabilities (N, 10) of the models `names`."""
        reasons = self.on_cpu.reasons(names, said, self.is_digit.get(title))
        return np.array([reason is None for reason in reasons])

    def together(self, names: list[str]) -> dict[str, np.ndarray]:
        """The probabilities of the consensus for each set."""
        temperature, weights = self.on_cpu.temperature[key(names)], self.on_cpu.weights(names)
        return {
            title: mean_probabilities(np.stack([self.of[name][title] for name in names]), temperature, weights)
            for title in self.sets
        }

    def describe(self, names: list[str], said: dict[str, np.ndarray]) -> dict[str, Any]:
        """Every figure of the models `names` together; said: {set: probabilities (N, 10)}."""
        found: dict[str, Any] = {split: figures(said[split], self.sets[split].labels) for split in SPLITS}
        found["threshold"] = self.on_cpu.threshold[key(names)]
        of_test = said["test"].max(1)
        for title, images in self.sets.items():
            if title in TOGETHER and title not in SPLITS:
                continue
            accepted = self.accepted(names, said[title], title)
            part: dict[str, Any] = {"refused": share(~accepted)}
            if images.writers is not None:
                part["writers"] = images.writers
            if images.digits:
                right = said[title].argmax(1) == images.labels
                part |= {"right": share(right), "accepted_wrong": share(accepted & ~right)}
                if images.kinds is not None:
                    part["ones_right"] = share(right[images.labels == 1])
                    slashed = images.kinds == SLASHED
                    if slashed.any():
                        part["slashed_zeros_right"] = share(right[slashed])
            else:
                part["auroc"] = separation(of_test, said[title].max(1))
            found.setdefault("sets", {})[title] = part
        return found


def in_8_bits(artefact: Artefact) -> bool:
    """Whether a CPU computes the artefact in 8 bits."""
    graph = onnx.load_from_string(artefact.content).graph
    return any(node.op_type == "QuantizeLinear" for node in graph.node)


def run(session: onnxruntime.InferenceSession, output: str, images: np.ndarray, title: str) -> np.ndarray:
    """What a network says in `output` for images (N, 1, 28, 28) uint8, in batches; title: of the progress bar."""
    bar = tqdm(range(0, len(images), BATCH), desc=title)
    return np.concatenate([np.asarray(session.run([output], {"images": images[i : i + BATCH]})[0]) for i in bar])


def release(found: dict[str, Any], answers: Answers, names: list[str], models: Path, folder: Path) -> None:
    """Make `folder` one that the service takes: the artefacts, and a consensus.json of the networks `names`.

    If it is `models` itself, the figures are written into the artefacts; otherwise it gets links to them.
    """
    if folder == models:
        for name in names:
            write_figures(models / f"{name}.onnx", found[name])
    else:
        others = set(voters(models)) - set(names)
        for path in models.glob("*.onnx"):
            if path.stem not in others:
                (folder / path.name).symlink_to(path.resolve())
    values = {f"test_{name}": value for name, value in found[CONSENSUS]["test"].items()}
    values["test_accepted"] = 1 - found[CONSENSUS]["sets"]["test"]["refused"]["share"]
    write_consensus(folder, names, answers.on_cpu, answers.floats, values)


def measure_own(found: dict[str, Any], pictures: list[Labelled], folder: Path, names: list[str]) -> None:
    """Add the figures of the user's own pictures, as the service with the models of `folder` answers to them."""
    recogniser = Recogniser(folder, "cpu", os.cpu_count() or 1)
    for name in (*names, CONSENSUS):
        if figures := measure_digits(recogniser, pictures, None if name == CONSENSUS else name):
            found[name]["images"] = figures
    if figures := measure_numbers(recogniser, pictures):
        found[CONSENSUS]["numbers"] = figures


def record(found: dict[str, Any], answers: Answers, names: list[str], results: Path) -> list[str]:
    """Write all measurements into `results`, where figures that were not measured again stay.

    Returns the names of these, of the consensus: sets without data here, and the user's own images.
    """
    results.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Any] = {name: answers.of[name]["test"].astype(np.float16) for name in names}
    saved[CONSENSUS] = answers.together(names)["test"].astype(np.float16)
    saved["labels"] = answers.sets["test"].labels.astype(np.uint8)
    np.savez_compressed(results / PROBABILITIES, **saved)
    path = results / MEASURED
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    content = {name: completed(said, before.get(name, {})) for name, said in found.items()}
    path.write_text(json.dumps(rounded(content), indent=1) + "\n")
    recorded, measured = ({*said, *said["sets"]} for said in (content[CONSENSUS], found[CONSENSUS]))
    return sorted(recorded - measured)


def completed(said: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """The figures of one model, and those of `before` that are not among them, of sets and of the user's own images.

    `earlier` names those that another network, or another consensus, had: one that MNIST's test images tell apart.
    """
    own = {name: before[name] for name in OWN if name in before and name not in said}
    kept = {*own, *before.get("sets", {})} - said["sets"].keys()
    earlier = kept if before.get("test") != rounded(said["test"]) else kept & {*before.get("earlier", [])}
    mark = {"earlier": sorted(earlier)} if earlier else {}
    return said | own | {"sets": before.get("sets", {}) | said["sets"]} | mark


def write_figures(path: Path, found: dict[str, Any]) -> None:
    """Write the validation and test figures into the metadata of an artefact, atomically."""
    model = onnx.load(path)
    properties: dict[str, Any] = {p.key: p.value for p in model.metadata_props}
    for split in SPLITS:
        properties |= {f"{split}_{name}": round(value, 6) for name, value in found[split].items()}
    for name, value in found.get("detection", {}).items():
        properties[f"test_{name}"] = round(value, 6)
    set_properties(model, properties)
    partial = path.with_name(f".{path.name}.partial")
    onnx.save(model, partial)
    os.replace(partial, path)


def rounded(value: Any) -> Any:
    """Round a figure, or all figures in nested lists and dicts, to six decimals."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


# The images.


def of_mnist(root: Path | None, finder: InkFinder) -> Iterator[tuple[str, Images]]:
    """MNIST's validation and test images, scikit-learn's digits, and frames with several test images.

    The set "load_digits" has 1,797 digits of 8x8 pixels, prepared by the service's `canonicalise`.
    """
    for split in ("validation", "test"):
        images, labels = mnist.load(split, root)
        yield split, Images(images.numpy(), labels.numpy())
    small: Any = load_digits()
    seen = np.stack([canonicalise((image * (255 / 16)).astype(np.uint8), finder).image for image in small.images])
    yield "load_digits", Images(seen[:, None], small.target)
    yield "several", _several(mnist.load("test", root)[0])


def of_writers(writers: Path | None) -> Iterator[tuple[str, Images]]:
    """Digits and non-digits by the test writers, and signs and alphabets that no network is trained on.

    The number of writers of optdigits is from its authors. The number of people who drew the doodles is unknown.
    """
    yield "unipen", _drawn(unipen.digits("test", writers))
    yield "uji", _drawn(uji.digits("test", writers))
    yield "optdigits", _drawn(optdigits.digits("test", writers), optdigits.TEST_WRITERS)
    yield "letters", _drawn(unipen.letters("test", writers))
    yield "omniglot", _drawn(omniglot.letters("test", writers))
    yield "doodles", replace(_drawn(doodles.drawings("test", writers)), writers=None)
    # To fit what is accepted, not to be measured on.
    yield "unipen_validation", _drawn(unipen.digits("validation", writers))
    yield "unseen_signs", _drawn(unipen.unseen_signs(writers))
    yield "unseen_alphabets", _drawn(omniglot.unseen_alphabets(writers))


def of_foreign(writers: Path | None) -> Iterator[tuple[str, Images]]:
    """Symbols, doodles, gestures and typed signs of kinds that no network is trained on. Missing sets are left out."""
    kinds = {
        "unseen_symbols": drawings.unseen_symbols,
        "unseen_sketches": drawings.unseen_doodles,
        "unseen_gestures": drawings.unseen_gestures,
        "unseen_typed": glyphs.unseen_typed,
    }
    for title, load in kinds.items():
        try:
            yield title, replace(_drawn(load(writers)), writers=None)
        except FileNotFoundError as error:
            tqdm.write(f"The set {title} is left out: {error}")


def _drawn(source: Source, writers: int | None = None) -> Images:
    images = source.draw(np.arange(len(source)), np.random.default_rng(SEED))[:, None]
    return Images(images, source.labels, source.kinds, writers or len(np.unique(source.writers)))


def _several(images: torch.Tensor) -> Images:
    """As many frames as images, each with two or three of the images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = (several(mnist.to_unit(images)) * 255).round().to(torch.uint8).numpy()
    return Images(made, np.full(len(made), NONE))
