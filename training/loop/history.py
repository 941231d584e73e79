"""The figures of a run's epochs: metrics.jsonl, one line per epoch."""

import json
import statistics
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


def read(folder: Path) -> list[dict[str, Any]]:
    """One dict per finished epoch."""
    path = folder / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(folder: Path, metrics: list[dict[str, Any]]) -> None:
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in metrics))


def duration(metrics: list[dict[str, Any]]) -> float:
    """Seconds of all epochs of a run: their number times the median.

    The sum would also count delays from other work on the machine.
    """
    return len(metrics) * statistics.median(line["seconds"] for line in metrics)
