"""Train a network from its first epoch, or from a checkpoint, to the end of its recipe.

The run's folder holds a checkpoint to resume from, which is written after each epoch and every five minutes. After each
epoch, metrics.jsonl gets one more line and averaged.pt the averaged weights. The last epoch's weights are kept: the
learning rate has fallen to almost zero by then, and no epoch is chosen by its figures. This module never opens the test
images.
"""

import fcntl
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.loop import devices
from training.loop.run import Run
from training.task import Task

CHECKPOINT, WEIGHTS, METRICS, LOCK = "checkpoint.pt", "averaged.pt", "metrics.jsonl", "lock"


def fit(name: str, task: Task, seed: int, folder: Path, resume: bool = False) -> list[dict[str, Any]]:
    """Train the network `name` to the end of its task's recipe. Returns one dict per epoch.

    Raises ValueError if `folder` holds a run and `resume` is not set, or if another process trains there.
    """
    with locked(folder):
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists() and not resume:
            raise ValueError(f"{checkpoint} exists; continue it with --resume, or name another folder with --out.")
        recipe, device = task.recipe, task.device
        run = Run(name, task, seed)
        metrics: list[dict[str, Any]] = []
        if checkpoint.exists():
            run.load(torch.load(checkpoint, map_location=device, weights_only=True))
            metrics = read_metrics(folder)[: run.epoch]
        origin = {"hardware": devices.hardware(device), "torch": str(torch.__version__), "commit": commit()}
        origin |= {"initial_weights": run.initial_weights, "settings": run.settings()}
        while run.epoch < recipe.epochs:
            loss, seconds = run.train_epoch(lambda: save(run.state(), checkpoint))
            trained = time.perf_counter()
            line: dict[str, Any] = {"epoch": run.epoch, "train_loss": loss}
            line["validation"] = task.validate(run.averaged)
            if watched := task.watch(run.averaged):
                line["watched"] = watched
            line["seconds"] = seconds + time.perf_counter() - trained
            line["images_per_second"] = task.steps * recipe.batch_size / seconds
            metrics.append(line)
            # The checkpoint is written last: a run that is killed in between trains the end of this epoch again.
            save(origin | {"network": run.averaged.state_dict()}, folder / WEIGHTS)
            (folder / METRICS).write_text("".join(json.dumps(line) + "\n" for line in metrics))
            save(run.state(), checkpoint)
            print(json.dumps({"network": name} | line), flush=True)
    return metrics


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder against other runs."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(f"Another process is training in {folder}.") from error
        yield


def save(state: dict[str, Any], path: Path) -> None:
    """Write a new file, then rename it: if the run is killed, the old file stays intact."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The figures of a run's finished epochs, one dict each; none if there is no run."""
    path = folder / METRICS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def duration(metrics: list[dict[str, Any]]) -> float:
    """Seconds of all epochs of a run: their number times the median.

    The sum would also count delays from other work on the machine.
    """
    return len(metrics) * statistics.median(line["seconds"] for line in metrics)


def commit() -> str:
    """The commit of the running code, with a "+" if tracked files differ from it; "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
