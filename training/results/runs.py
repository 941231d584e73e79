"""Collect the figures of finished trainings from their run folders into results/runs.json."""

import json
from pathlib import Path
from typing import Any

import torch

from training import networks
from training.loop import history
from training.loop.fit import WEIGHTS

RECORD = "runs.json"


def collect(runs: Path) -> list[dict[str, Any]]:
    """For each network with a run in runs/NAME/, its settings, hardware, commit and the figures of each epoch."""
    found = []
    for name in networks.voters():
        metrics = history.read(runs / name)
        if not metrics:
            continue
        trained = torch.load(runs / name / WEIGHTS, map_location="cpu", weights_only=True)
        about = {key: trained[key] for key in ("initial_weights", "hardware", "torch", "commit")}
        seconds = history.duration(metrics)
        found.append(trained["settings"] | about | {"seconds": seconds, "metrics": metrics})
    return found


def record(runs: Path, results: Path) -> None:
    """Write results/runs.json. Raises FileNotFoundError if `runs` holds no run."""
    found = collect(runs)
    if not found:
        raise FileNotFoundError(f"{str(runs)!r} holds no run; start one with: python -m training.train NAME")
    results.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(run) for run in found)  # one line per run, so that a diff shows the runs that changed
    (results / RECORD).write_text(f"[\n{lines}\n]\n")
