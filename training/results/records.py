"""Read everything that is recorded of the released artefacts and of their training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.inference.artefact import open_artefact
from training.measure.evaluation import CONSENSUS, MEASURED, PROBABILITIES
from training.results.runs import RECORD

OFFLINE, SPEED, ABLATION = "offline.json", "speed.json", "ablation_training.json"
TIMES = "time_to_99.json", "time_to_99.5.json"  # to an accuracy
MNIST_ALONE = "mnist_alone"  # the folder in results/ of the networks trained on MNIST alone
ORDER = ("cnn", "faster_rcnn", "vgg16", "alexnet", "vit")  # order in the tables; other networks come last


class Recorded:
    def __init__(self, models: Path, results: Path) -> None:
        """Raises FileNotFoundError, which names the command to run, if there is no evaluation."""
        if not (results / MEASURED).exists():
            raise FileNotFoundError(f"{results / MEASURED} is missing; create it with: python -m training.evaluate")
        self.measured: dict[str, Any] = _read(results / MEASURED)
        self.mnist_alone: dict[str, Any] = _read(results / MNIST_ALONE / MEASURED) or {}
        names = [name for name in self.measured if name != CONSENSUS]
        self.names = sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        self.metadata = {name: open_artefact(models / f"{name}.onnx", "cpu", 1).metadata for name in self.names}
        self.bytes = {name: (models / f"{name}.onnx").stat().st_size for name in self.names}
        self.probabilities: dict[str, np.ndarray] = dict(np.load(results / PROBABILITIES))
        self.runs: list[dict[str, Any]] = _read(results / RECORD) or []
        self.offline: dict[str, Any] | None = _read(results / OFFLINE)
        self.speed: dict[str, Any] | None = _read(results / SPEED)
        self.times: list[dict[str, Any]] = [_read(results / name) for name in TIMES if (results / name).exists()]
        self.ablation: dict[str, Any] | None = _read(results / ABLATION)

    def latency(self, name: str) -> float | None:
        """The median latency of one image in milliseconds; None if it was not measured."""
        wanted = "onnxruntime", "all" if name == CONSENSUS else name, 1
        rows = self.offline["rows"] if self.offline else []
        found = [row for row in rows if (row["engine"], row["model"], row["batch"]) == wanted]
        return found[0]["latency_p50_ms"] if found else None


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None
