"""What the epochs of a run say: metrics.jsonl, a line each."""

import json
import statistics
from pathlib import Path
from typing import Any

FILE = "metrics.jsonl"


def read(folder: Path) -> list[dict[str, Any]]:
    """One dict an epoch; none if no epoch is finished."""
    path = folder / FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write(folder: Path, metrics: list[dict[str, Any]]) -> None:
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in metrics))


def duration(metrics: list[dict[str, Any]]) -> float:
    """Seconds of a run's epochs, all counted as the median one: on a machine with other work some stand still."""
    return len(metrics) * statistics.median(line["seconds"] for line in metrics)
