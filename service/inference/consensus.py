"""Combine the models' answers: their calibrated mean, and whether it is confident enough to be a digit."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ..answers import Reason
from .artefact import UnusableArtefact, read, remedy

FILE = "consensus.json"
logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it


def mean_probabilities(
    probabilities: np.ndarray, temperature: float = 1.0, weights: Sequence[float] | None = None
) -> np.ndarray:
    """The mean over M models, calibrated after averaging (Rahaman & Thiery, https://arxiv.org/abs/2007.08792).

    probabilities: (M, N, 10), rows sum to 1; weights: of the models, of any sum; None: all the same.
    Returns (N, 10) float64, rows sum to 1.
    """
    mean = np.average(probabilities.astype(np.float64), axis=0, weights=weights)
    logs = np.log(np.clip(mean, 1e-12, 1)) / temperature
    powers = np.exp(logs - logs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def key(names: Iterable[str]) -> str:
    """The key of a choice of models in consensus.json, such as "cnn,vit"."""
    return ",".join(sorted(names))


def choices(names: Iterable[str]) -> list[str]:
    """The keys of every choice of one or more models."""
    ordered = sorted(names)
    return [key(chosen) for size in range(1, len(ordered) + 1) for chosen in combinations(ordered, size)]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    digit: int
    confidence: float
    agreement: int  # number of models that give this digit
    is_digit: float | None = None  # how likely it is a digit at all, 0 to 1; None without the network that says so
    reason: Reason | None = None  # why it is not accepted

    @property
    def accepted(self) -> bool:
        return self.reason is None


class Calibration(BaseModel):
    """A weight for each model, a temperature and a threshold for each choice of models, fitted on validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least_is_digit: float = 0.0  # least score of `is_digit` of an accepted image
    weight: dict[str, float] = {}  # of each model in the mean, by name; empty: all the same

    temperature: dict[str, float]  # by key(names)
    threshold: dict[str, float]  # lowest confidence of an accepted image, by key(names)

    def weights(self, names: Sequence[str]) -> list[float] | None:
        """The weights of the models `names`; None if all are the same."""
        return [self.weight[name] for name in names] if self.weight else None

    def decide(
        self, names: Sequence[str], probabilities: np.ndarray, is_digit: np.ndarray | None = None
    ) -> tuple[list[Verdict], np.ndarray]:
        """One verdict for each image, and the calibrated mean (N, 10) behind it.

        probabilities: (M, N, 10), of the models `names` in this order; is_digit: (N,), how likely each is a digit.
        """
        mean = mean_probabilities(probabilities, self.temperature[key(names)], self.weights(names))
        reasons = self.reasons(names, mean, is_digit)
        digits, confidences = mean.argmax(1), mean.max(1)
        agreements = (np.argmax(probabilities, 2) == digits).sum(0)
        verdicts = [
            Verdict(
                digit=int(digit),
                confidence=float(confidence),
                agreement=int(agreement),
                is_digit=None if is_digit is None else float(is_digit[index]),
                reason=reasons[index],
            )
            for index, (digit, confidence, agreement) in enumerate(zip(digits, confidences, agreements, strict=True))
        ]
        return verdicts, mean

    def reasons(self, names: Sequence[str], mean: np.ndarray, is_digit: np.ndarray | None) -> list[Reason | None]:
        """Why each image, of which the models `names` together say `mean` (N, 10), is not accepted; None if it is."""
        unsure = mean.max(1) < self.threshold[key(names)]
        foreign = np.zeros(len(mean), bool) if is_digit is None else is_digit < self.least_is_digit
        return [
            "no_digit" if no_digit else "unsure" if doubt else None
            for no_digit, doubt in zip(foreign, unsure, strict=True)
        ]


class Consensus(Calibration):
    """models/consensus.json. Its temperatures and thresholds are for a CPU, where some models compute in 8 bits."""

    sha256: dict[str, str]  # hash of each released artefact, by name
    helpers: dict[str, str] = {}  # hash of each artefact that is served but names no digit, by name: ink
    figures: dict[str, float]  # measured figures of all models together, on a CPU
    floats: Calibration | None = None  # for a GPU, which computes all models in floats; see `open_session`

    @model_validator(mode="after")
    def _complete(self) -> "Consensus":
        needed = set(choices(self.sha256))
        for fitted in (self, self.floats):
            if fitted is not None and (not needed or needed - (fitted.temperature.keys() & fitted.threshold.keys())):
                raise ValueError("a choice of models has no temperature or no threshold")
        return self

    @property
    def names(self) -> list[str]:
        return sorted(self.sha256)

    def calibration(self, device: str) -> Calibration:
        """The calibration for answers computed on "cuda" or "cpu"; the same for both if the file has no `floats`."""
        return self.floats if device == "cuda" and self.floats is not None else self


def load_consensus(models: Path) -> Consensus:
    """Read models/consensus.json and compare the artefacts in the same folder with the hashes in it.

    Raises UnusableArtefact, whose message names the file, if one is missing, damaged or replaced. One that is not
    listed is not served, and the log says so: an export leaves the service as it is until `quintet evaluate`.
    """
    path = models / FILE
    if not models.is_dir():
        raise UnusableArtefact(f"There is no folder {models}; set QUINTET_MODELS to the folder that holds the models.")
    try:
        consensus = Consensus.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UnusableArtefact(f"{path} is missing; {remedy(path)}") from error
    except ValidationError as error:
        raise UnusableArtefact(f"{path} is damaged; {remedy(path)}") from error
    listed = consensus.sha256 | consensus.helpers
    for name, sha256 in listed.items():
        read(models / f"{name}.onnx", sha256)
    for path in sorted(models.glob("*.onnx")):
        if path.stem not in listed:
            says = "%s is not served: %s does not list it yet; list it with: python -m training.evaluate"
            logger.warning(says, path, FILE)
    return consensus
