"""The files of a run's folder, and what they hold. Nothing here needs PyTorch."""

import json
import statistics
from pathlib import Path
from typing import Any

from training.command import command

CHECKPOINT, WEIGHTS, METRICS, LOCK = "checkpoint.pt", "averaged.pt", "metrics.jsonl", "lock"


def check_new(folder: Path, resume: bool) -> None:
    """Raise ValueError if `folder` holds a run and `resume` is not set."""
    if (folder / CHECKPOINT).exists() and not resume:
        raise ValueError(f"{folder / CHECKPOINT} exists; continue it with --resume, or name another folder with --out.")


def weights_of(runs: Path, name: str) -> Path:
    """The weights of the run in runs/NAME/. Raises FileNotFoundError, with the command to run, without any."""
    path = runs / name / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; create it with: {command(f'quintet train {name}')}")
    return path


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The figures of a run's finished epochs, one dict each; none if there is no run."""
    path = folder / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def duration(metrics: list[dict[str, Any]], before: float = 0.0) -> float:
    """Seconds of all epochs of a run: their number times the median, after those of the run that it goes on from.

    The sum would also count delays from other work on the machine.
    """
    return before + (len(metrics) * statistics.median(line["seconds"] for line in metrics) if metrics else 0.0)
