"""models/consensus.json: a temperature and a threshold for every subset of the models, fitted on validation images."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from service.inference.consensus import FILE, Calibration, choices, mean_probabilities
from service.picture.ink import FILE as INK
from training.loop.validation import REFUSED
from training.release.calibration import temperature


def fit(answers: dict[str, np.ndarray], labels: np.ndarray) -> Calibration:
    """Fit the temperature and the threshold of every subset of the models.

    answers: by model, the probabilities (N, 10) of MNIST's validation digits; labels: (N,). Each threshold refuses a
    share REFUSED of these digits.
    """
    temperatures, thresholds = {}, {}
    for choice in choices(answers):
        stacked = np.stack([answers[name] for name in choice.split(",")])
        # A single model is calibrated already, inside its graph.
        fitted = 1.0 if len(stacked) == 1 else temperature(np.log(mean_probabilities(stacked)), labels)
        temperatures[choice] = round(fitted, 4)
        confidences = mean_probabilities(stacked, temperatures[choice]).max(1)
        thresholds[choice] = round(float(np.quantile(confidences, REFUSED)), 4)
    return Calibration(temperature=temperatures, threshold=thresholds)


def write(models: Path, on_cpu: Calibration, floats: Calibration, figures: dict[str, float]) -> None:
    """Write consensus.json for all artefacts in `models`, atomically.

    figures: measured with all models together, on a CPU.
    """
    paths = sorted(models.glob("*.onnx"))
    content = {
        "sha256": {path.stem: _hash(path) for path in paths},
        "ink": _hash(models / INK) if (models / INK).exists() else None,
        **on_cpu.model_dump(),
        "floats": floats.model_dump(),
        "figures": {name: round(value, 6) for name, value in figures.items()},
    }
    partial = models / f".{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, models / FILE)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
