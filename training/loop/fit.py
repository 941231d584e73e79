"""Train a network from its first epoch, or from a checkpoint, to the end of its recipe.

After each epoch the run's folder holds a checkpoint to resume from, one more line in metrics.jsonl, and the averaged
weights in averaged.pt. The last epoch's weights are kept: the learning rate has fallen to almost zero by then, and no
epoch is chosen by its figures. This module never opens the test images.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.data.batches import Batches
from training.loop import devices, history
from training.loop.provenance import commit
from training.loop.recipe import Recipe
from training.loop.run import Run
from training.loop.validation import Validation

CHECKPOINT, WEIGHTS, LOCK = "checkpoint.pt", "averaged.pt", "lock"


@dataclass(frozen=True, kw_only=True)
class Data:
    """The folders of the data. None means the default folder."""

    root: Path | None = None  # the folder that holds MNIST/
    writers: Path | None = None  # the folder of the other writers' data


def fit(
    name: str, recipe: Recipe, seed: int, device: torch.device, folder: Path, data: Data, resume: bool = False
) -> list[dict[str, Any]]:
    """Train to the end of the recipe, together with the other processes of torchrun. Returns one dict per epoch.

    Raises ValueError if `folder` holds a run and `resume` is not set, or if another process trains there.
    """
    rank, size, device = devices.join(device)
    with locked(folder, rank):
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists() and not resume:
            raise ValueError(f"{checkpoint} exists; continue it with --resume, or name another folder with --out.")
        batches = Batches(recipe.sources, recipe.batch_size, device, data.root, data.writers)
        validation = Validation(device, list(batches.written), data.root, data.writers)
        run = Run(name, recipe, seed, device, batches.steps, rank, size)
        metrics: list[dict[str, Any]] = []
        if checkpoint.exists():
            run.load(torch.load(checkpoint, map_location=device, weights_only=True))
            metrics = history.read(folder)[: run.epoch]
        origin = {"hardware": devices.hardware(device), "torch": str(torch.__version__), "commit": commit()}
        origin |= {"initial_weights": run.initial_weights, "settings": run.settings()}
        while run.epoch < recipe.epochs:
            start = time.perf_counter()
            loss = run.train_epoch(batches)
            trained = time.perf_counter()
            line: dict[str, Any] = {"epoch": run.epoch, "train_loss": loss}
            line["validation"] = validation.measure(run.averaged)
            line["seconds"] = time.perf_counter() - start
            line["images_per_second"] = batches.steps * batches.batch_size / (trained - start)
            metrics.append(line)
            if rank == 0:
                # The checkpoint is written last: a run that is killed in between trains this epoch again.
                save(origin | {"network": run.averaged.state_dict()}, folder / WEIGHTS)
                history.write(folder, metrics)
                save(run.state(), checkpoint)
                print(json.dumps(line), flush=True)
    return metrics


@contextmanager
def locked(folder: Path, rank: int) -> Iterator[None]:
    """Lock the folder against other runs. The first process of a torchrun takes the lock for all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w") as file:
        if rank == 0:
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
