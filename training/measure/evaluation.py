"""Measure each artefact and their consensus, and fit the consensus.

Only this module and the report open the test images. Training, export and the fit of the consensus use only validation
images.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from tqdm import tqdm

from service.inference.artefact import JUDGE, Artefact, open_artefact, open_finder, open_helper
from service.inference.consensus import Calibration, key, mean_probabilities
from service.inference.device import open_session
from service.picture.ink import FILE
from service.recogniser import Recogniser
from training.data import mnist
from training.data.unipen import SLASHED
from training.measure import detection
from training.measure.figures import figures, intervals, separation, share
from training.measure.folder import Labelled, measure_digits, measure_numbers
from training.measure.sets import Images, of_foreign, of_mnist, of_writers
from training.records import CONSENSUS, MEASURED, PROBABILITIES
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
SPLITS = "validation", "test"  # of MNIST
WEAK = 0.1  # share of an equal weight below which a network is said to be weak


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
        for title, images in self.sets.items():
            parts = [images.images[i : i + BATCH] for i in range(0, len(images.images), BATCH)]
            self.is_digit[title] = np.concatenate(
                [np.asarray(session.run([JUDGE], {"images": part})[0]) for part in parts]
            )

    def add(self, name: str, artefact: Artefact) -> None:
        """Run one artefact over every set."""
        self.of[name] = {title: probabilities_of(artefact, images.images, title) for title, images in self.sets.items()}
        self.in_floats[name] = self.of[name]["validation"]
        if in_8_bits(artefact):
            session = open_session(artefact.content, "cpu", os.cpu_count() or 1, floats=True)
            images = self.sets["validation"].images
            self.in_floats[name] = probabilities_of(replace(artefact, session=session), images, "in floats")

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
        found = said.max(1) >= self.on_cpu.threshold[key(names)]
        return found & (self.is_digit[title] >= self.on_cpu.least_is_digit) if self.is_digit else found

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


def voters(models: Path) -> list[str]:
    """The names of the artefacts in a folder that name digits: those that have probabilities as an output."""
    graphs = {path.stem: onnx.load(path, load_external_data=False).graph for path in sorted(models.glob("*.onnx"))}
    return [name for name, graph in graphs.items() if "probabilities" in {output.name for output in graph.output}]


def in_8_bits(artefact: Artefact) -> bool:
    """Whether a CPU computes the artefact in 8 bits."""
    graph = onnx.load_from_string(artefact.content).graph
    return any(node.op_type == "QuantizeLinear" for node in graph.node)


def probabilities_of(artefact: Artefact, images: np.ndarray, title: str = "") -> np.ndarray:
    """Probabilities (N, 10) float32 of an artefact for images (N, 1, 28, 28) uint8."""
    parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    bar = tqdm(parts, desc=f"{artefact.name} {title}")
    return np.concatenate([np.asarray(artefact.session.run(["probabilities"], {"images": part})[0]) for part in bar])


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


def weak(found: dict[str, Any]) -> list[str]:
    """A sentence for each network that adds almost nothing to the consensus."""
    weights: dict[str, float] = found[CONSENSUS]["weights"]
    return [
        f"{name} is weak beside the others: its vote in the consensus weighs {weight:.3f} of 1."
        for name, weight in weights.items()
        if weight < WEAK / len(weights)
    ]


def record(found: dict[str, Any], answers: Answers, names: list[str], results: Path) -> None:
    """Write all measurements into `results`."""
    results.mkdir(parents=True, exist_ok=True)
    saved: dict[str, Any] = {name: answers.of[name]["test"].astype(np.float16) for name in names}
    saved[CONSENSUS] = answers.together(names)["test"].astype(np.float16)
    saved["labels"] = answers.sets["test"].labels.astype(np.uint8)
    np.savez_compressed(results / PROBABILITIES, **saved)
    (results / MEASURED).write_text(json.dumps(rounded(found), indent=1) + "\n")


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
