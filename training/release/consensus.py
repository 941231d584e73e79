"""models/consensus.json: weights, temperatures and thresholds of the models, fitted on validation images."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from service.inference.consensus import FILE, Calibration, choices, mean_probabilities
from training.digits import REFUSED, temperature

PRIOR = 10  # images counted for each model beforehand; without any, the few that are read wrong decide alone
# With the network is_digit, confidence alone refuses fewer digits: it knows what is unclear, not what is foreign.
BY_CONFIDENCE = 0.001  # share of MNIST's validation digits
# Shares of digits that both may refuse together, by set: of UNIPEN's as many as confidence alone did (.0208).
TOGETHER = {"validation": 0.003, "unipen_validation": 0.02}
STEPS = 1000  # of expectation maximisation; after 500, no weight of the released models moves by .001


def fit(answers: dict[str, np.ndarray], labels: np.ndarray, refused: float = REFUSED) -> Calibration:
    """Fit the weight of each model, and the temperature and the threshold of every subset of them.

    answers: by model, the probabilities (N, 10) of MNIST's validation digits; labels: (N,). Each threshold refuses the
    share `refused` of these digits.
    """
    weight = dict(zip(answers, weights(np.stack(list(answers.values())), labels), strict=True))
    temperatures, thresholds = {}, {}
    for choice in choices(answers):
        names = choice.split(",")
        stacked, own = np.stack([answers[name] for name in names]), [weight[name] for name in names]
        # A single model is calibrated already, inside its graph.
        fitted = 1.0 if len(stacked) == 1 else temperature(np.log(mean_probabilities(stacked, weights=own)), labels)
        temperatures[choice] = round(fitted, 4)
        confidences = mean_probabilities(stacked, temperatures[choice], own).max(1)
        thresholds[choice] = round(float(np.quantile(confidences, refused)), 4)
    return Calibration(weight=weight, temperature=temperatures, threshold=thresholds)


def least_is_digit(is_digit: dict[str, np.ndarray], unsure: dict[str, np.ndarray]) -> float:
    """The least score of an accepted image, such that no set of validation digits loses more than TOGETHER allows.

    is_digit: by set, the scores (N,) of its digits; unsure: which of them confidence refuses, (N,) bool.
    """
    found = [np.quantile(np.where(unsure[name], -1.0, is_digit[name]), TOGETHER[name]) for name in is_digit]
    return max(0.0, round(float(min(found)), 4))


def weights(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """The weights (M,) of the mixture of models that gives the labels (N,) the greatest likelihood; they sum to 1.

    probabilities: (M, N, 10). Stacking (Breiman, https://doi.org/10.1007/BF00117832), by expectation maximisation. A
    network that adds nothing gets almost nothing: one with 92 % accuracy beside the released five got .01.
    """
    of_label = probabilities[:, np.arange(len(labels)), labels].astype(np.float64).clip(1e-12)
    found = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(STEPS):
        shares = found[:, None] * of_label
        counts = (shares / shares.sum(0)).sum(1) + PRIOR
        found = counts / counts.sum()
    return [round(float(weight), 4) for weight in found]


def write(models: Path, names: list[str], on_cpu: Calibration, floats: Calibration, figures: dict[str, float]) -> None:
    """Write consensus.json for all artefacts in `models`, atomically.

    names: of those that name digits; figures: measured with these together, on a CPU.
    """
    hashes = {path.stem: _hash(path) for path in sorted(models.glob("*.onnx"))}
    content = {
        "sha256": {name: hashes[name] for name in sorted(names)},
        "helpers": {name: value for name, value in hashes.items() if name not in names},
        **on_cpu.model_dump(),
        "floats": floats.model_dump(),
        "figures": {name: round(value, 6) for name, value in figures.items()},
    }
    partial = models / f".{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, models / FILE)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
