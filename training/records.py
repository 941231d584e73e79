"""What is recorded in results/ of the released artefacts, and how it gets into pages that people write."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from service.inference.artefact import open_artefact
from training.command import command

MEASURED = "evaluation.json"
PROBABILITIES = "test_probabilities.npz"  # each model's probabilities of each test image, float16
CONSENSUS = "consensus"  # its name beside the models' names
RUNS, OFFLINE = "runs.json", "offline.json"
MNIST_ALONE = "mnist_alone"  # the folder in results/ of the networks trained on MNIST alone
ORDER = ("cnn", "faster_rcnn", "vgg16", "alexnet", "vit")  # order in the tables; other networks come last


class Recorded:
    """All files in results/, and the metadata and sizes of the artefacts that were measured."""

    def __init__(self, models: Path, results: Path) -> None:
        """Raises FileNotFoundError if there is no evaluation, UnusableArtefact if an artefact is missing."""
        if not (results / MEASURED).exists():
            raise FileNotFoundError(f"{results / MEASURED} is missing; create it with: {command('quintet evaluate')}")
        self.measured: dict[str, Any] = _read(results / MEASURED)
        self.mnist_alone: dict[str, Any] = _read(results / MNIST_ALONE / MEASURED) or {}
        names = [name for name in self.measured if name != CONSENSUS]
        self.names = sorted(names, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
        self.metadata = {name: open_artefact(models / f"{name}.onnx", "cpu", 1).metadata for name in self.names}
        self.bytes = {name: (models / f"{name}.onnx").stat().st_size for name in self.names}
        self.probabilities: dict[str, np.ndarray] = dict(np.load(results / PROBABILITIES))
        self.runs = [run for run in read_runs(results).values() if run["name"] in self.names]
        self.offline: dict[str, Any] | None = _read(results / OFFLINE)

    def latency(self, name: str) -> float | None:
        """The median latency of one image in milliseconds; None if it was not measured."""
        wanted = "all" if name == CONSENSUS else name, 1
        rows = self.offline["rows"] if self.offline else []
        found = [row for row in rows if (row["model"], row["batch"]) == wanted]
        return found[0]["latency_p50_ms"] if found else None


def read_runs(results: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """The recorded trainings by the network's name and the seed; none if nothing is recorded."""
    return {(run["name"], run["seed"]): run for run in _read(results / RUNS) or []}


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None


def voters(models: Path) -> list[str]:
    """The names of the artefacts in a folder that name digits: those that have probabilities as an output."""
    graphs = {path.stem: onnx.load(path, load_external_data=False).graph for path in sorted(models.glob("*.onnx"))}
    return [name for name, graph in graphs.items() if "probabilities" in {output.name for output in graph.output}]


def fill(page: Path, name: str, text: str) -> None:
    """Write `text` between the marks `<!-- name -->` and `<!-- /name -->` of a page, in place of what is there.

    A text of nothing leaves what is there. Raises ValueError if the page has no such marks.
    """
    before = page.read_text()
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not marks.search(before):
        raise ValueError(f"{page} has no marks <!-- {name} --> and <!-- /{name} -->.")
    if text:
        page.write_text(marks.sub(lambda found: f"{found[1]}{text.strip()}\n{found[2]}", before))


def table_of(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "".join(f"|{'|'.join(map(str, line))}|\n" for line in lines)
