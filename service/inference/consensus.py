"""Five answers into one: the calibrated mean, and whether it is sure enough to be a digit at all."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from service.inference.artefact import UnusableArtefact, read

FILE = "consensus.json"
REMEDY = "create it with: python -m training.evaluate"


def mean_probabilities(probabilities, temperature=1.0):
    """Average first, then calibrate the average (Rahaman & Thiery, https://arxiv.org/abs/2007.08792).

    probabilities: (M, N, 10), rows sum to 1. Returns (N, 10) float64, rows sum to 1.
    """
    logs = np.log(np.clip(np.mean(probabilities, axis=0, dtype=np.float64), 1e-12, 1)) / temperature
    powers = np.exp(logs - logs.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def key(names):
    """How consensus.json names a choice of models."""
    return ",".join(sorted(names))


def choices(names):
    """The keys of every choice of models."""
    return [key(chosen) for size in range(1, len(names) + 1) for chosen in combinations(sorted(names), size)]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    digit: int
    confidence: float
    accepted: bool  # False: probably no single digit
    agreement: int  # models whose own digit is this one


class Consensus(BaseModel):
    """models/consensus.json: for each choice of models a temperature and a threshold, fixed on validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: dict[str, str]  # of each released artefact, by name
    temperature: dict[str, float]  # by key(names)
    threshold: dict[str, float]  # least confidence of an accepted image, by key(names)
    figures: dict[str, float]  # measured figures of all models together

    @model_validator(mode="after")
    def _complete(self):
        if not self.sha256 or set(choices(self.sha256)) - (self.temperature.keys() & self.threshold.keys()):
            raise ValueError("a choice of models has no temperature or no threshold")
        return self

    @property
    def names(self):
        return sorted(self.sha256)

    def decide(self, names, probabilities):
        """One verdict an image, for probabilities (M, N, 10) of the models `names`, in their order."""
        chosen = key(names)
        mean = mean_probabilities(probabilities, self.temperature[chosen])
        digits, confidences = mean.argmax(1), mean.max(1)
        agreements = (np.argmax(probabilities, 2) == digits).sum(0)
        return [
            Verdict(
                digit=int(digit),
                confidence=float(confidence),
                accepted=bool(confidence >= self.threshold[chosen]),
                agreement=int(agreement),
            )
            for digit, confidence, agreement in zip(digits, confidences, agreements, strict=True)
        ]


def load_consensus(models):
    """Read models/consensus.json and hold the files beside it against it.

    Raises UnusableArtefact, naming the file, if anything is missing, damaged, replaced or new.
    """
    path = models / FILE
    try:
        consensus = Consensus.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UnusableArtefact(f"{path} is missing; {REMEDY}") from error
    except ValidationError as error:
        raise UnusableArtefact(f"{path} is damaged; {REMEDY}") from error
    for name, sha256 in consensus.sha256.items():
        read(models / f"{name}.onnx", sha256)
    for path in sorted(models.glob("*.onnx")):
        if path.stem not in consensus.sha256:
            raise UnusableArtefact(f"{path} is not in {FILE} yet; {REMEDY}")
    return consensus
