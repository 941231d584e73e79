"""What is recorded of the released artefacts and of their training."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from service.inference.artefact import open_artefact
from training.measure.evaluation import CONSENSUS, MEASURED, PROBABILITIES

RUNS, OFFLINE = "runs.json", "offline.json"
MNIST_ALONE = "mnist_alone"  # the folder in results/ of the networks trained on MNIST alone
ORDER = ("cnn", "faster_rcnn", "vgg16", "alexnet", "vit")  # order in the tables; other networks come last


class Recorded:
    """All files in results/, and the metadata and sizes of the artefacts that were measured."""

    def __init__(self, models: Path, results: Path) -> None:
        """Raises FileNotFoundError, which names the command to run, if there is no evaluation."""
        if not (results / MEASURED).exists():
            raise FileNotFoundError(f"{results / MEASURED} is missing; create it with: quintet evaluate")
        self.measured: dict[str, Any] = _read(results / MEASURED)
        self.mnist_alone: dict[str, Any] = _read(results / MNIST_ALONE / MEASURED) or {}
        names = [name for name in self.measured if name != CONSENSUS]
        self.names = sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        self.metadata = {name: open_artefact(models / f"{name}.onnx", "cpu", 1).metadata for name in self.names}
        self.bytes = {name: (models / f"{name}.onnx").stat().st_size for name in self.names}
        self.probabilities: dict[str, np.ndarray] = dict(np.load(results / PROBABILITIES))
        self.runs: list[dict[str, Any]] = _read(results / RUNS) or []
        self.offline: dict[str, Any] | None = _read(results / OFFLINE)

    def latency(self, name: str) -> float | None:
        """The median latency of one image in milliseconds; None if it was not measured."""
        wanted = "onnxruntime", "all" if name == CONSENSUS else name, 1
        rows = self.offline["rows"] if self.offline else []
        found = [row for row in rows if (row["engine"], row["model"], row["batch"]) == wanted]
        return found[0]["latency_p50_ms"] if found else None


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def record_runs(runs: Path, results: Path) -> None:
    """Write results/runs.json: settings, hardware, commit and the figures of each epoch of the networks in `runs`.

    Raises FileNotFoundError if `runs` holds no run.
    """
    import torch

    from training import networks
    from training.loop import WEIGHTS, duration, read_metrics

    found = []
    for name in networks.voters():
        metrics = read_metrics(runs / name)
        if not metrics:
            continue
        trained = torch.load(runs / name / WEIGHTS, map_location="cpu", weights_only=True)
        about = {key: trained[key] for key in ("initial_weights", "hardware", "torch", "commit")}
        found.append(trained["settings"] | about | {"seconds": duration(metrics), "metrics": metrics})
    if not found:
        raise FileNotFoundError(f"{str(runs)!r} holds no run; start one with: quintet train NAME")
    results.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(run) for run in found)  # one line per run, so that a diff shows the runs that changed
    (results / RUNS).write_text(f"[\n{lines}\n]\n")
