"""Everything that was recorded of the released artefacts and of the runs, as read from the files."""

import json

import numpy as np

from service.inference.artefact import open_artefact
from training.evaluate import CONSENSUS, MEASURED, PROBABILITIES, RESULTS
from training.export import MODELS
from training.runs import RECORD

OFFLINE, SPEED, TO_99 = "offline.json", "speed.json", "time_to_99.json"
ORDER = ("cnn", "faster_rcnn", "vgg16", "alexnet", "vit")  # of the tables; a new network comes after them


class Recorded:
    def __init__(self, models=MODELS, results=RESULTS):
        """Raises FileNotFoundError, naming the command, without an evaluation."""
        if not (results / MEASURED).exists():
            raise FileNotFoundError(f"{results / MEASURED} is missing; create it with: python -m training.evaluate")
        self.measured = json.loads((results / MEASURED).read_text())
        names = [name for name in self.measured if name != CONSENSUS]
        self.names = sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        self.metadata = {name: open_artefact(models / f"{name}.onnx", "cpu", 1).metadata for name in self.names}
        self.bytes = {name: (models / f"{name}.onnx").stat().st_size for name in self.names}
        self.probabilities = np.load(results / PROBABILITIES)
        self.runs = _read(results / RECORD) or []
        self.offline = _read(results / OFFLINE)
        self.speed = _read(results / SPEED)
        self.to_99 = _read(results / TO_99)

    def latency(self, name):
        """Median milliseconds of one image; None if it was not measured."""
        if self.offline is None:
            return None
        title = "all" if name == CONSENSUS else name
        found = [row for row in self.offline["rows"] if _key(row) == ("onnxruntime", title, 1)]
        return found[0]["latency_p50_ms"] if found else None


def _read(path):
    return json.loads(path.read_text()) if path.exists() else None


def _key(row):
    return row["engine"], row["model"], row["batch"]
