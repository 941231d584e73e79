"""Train a network from its first epoch, or from a checkpoint, to the end of its recipe.

The run's folder holds a checkpoint to resume from, which is written after each epoch and every five minutes. After each
epoch, metrics.jsonl gets one more line and averaged.pt the averaged weights. The last epoch's weights are kept: the
learning rate has fallen to almost zero by then, and no epoch is chosen by its figures. This module never opens the test
images.
"""

import dataclasses
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from training.recipe import initialise, run_of
from training.runs import CHECKPOINT, LOCK, METRICS, WEIGHTS, check_new, duration, read_metrics
from training.task import Task

SAVED = 300.0  # seconds from one checkpoint to the next within an epoch
PARTS = "network", "averaged", "optimizer", "schedule"  # of a checkpoint
CPUINFO = Path("/proc/cpuinfo")  # Linux's description of the processor


def fit(name: str, task: Task, seed: int, folder: Path, resume: bool = False) -> list[dict[str, Any]]:
    """Train the network `name` to the end of its task's recipe. Returns one dict per epoch.

    Raises ValueError if `folder` holds a run and `resume` is not set, or if another process trains there.
    """
    with locked(folder):
        check_new(folder, resume)
        checkpoint = folder / CHECKPOINT
        recipe, device = task.recipe, task.device
        run = Run(name, task, seed)
        metrics: list[dict[str, Any]] = []
        if checkpoint.exists():
            run.load(torch.load(checkpoint, map_location=device, weights_only=True))
            metrics = read_metrics(folder)[: run.epoch]
        origin = {"hardware": hardware(device), "torch": str(torch.__version__), "commit": commit()}
        origin |= {"initial_weights": run.initial_weights, "settings": run.settings()}
        origin |= {"seconds_before": seconds_of(recipe.weights)}
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


def seconds_of(weights: str | None) -> float:
    """Seconds of the run that wrote a recipe's initial weights, with those of the runs before it; 0 without one."""
    earlier = run_of(weights) if weights else None
    return (
        duration(read_metrics(Path(weights).parent), earlier.get("seconds_before", 0.0)) if weights and earlier else 0.0
    )


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


def commit() -> str:
    """The commit of the running code, with a "+" if tracked files differ from it; "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


class Run:
    """The training of the network `name` for its task."""

    def __init__(self, name: str, task: Task, seed: int) -> None:
        torch.manual_seed(seed)
        self.name, self.task, self.seed, self.recipe, self.device = name, task, seed, task.recipe, task.device
        network: nn.Module = task.module.Network()
        self.initial_weights = initialise(network, name, self.recipe.weights)
        self.network = network.to(self.device).to(memory_format=torch.channels_last)
        self.averaged = deepcopy(self.network).requires_grad_(False)
        kernels = [p for p in network.parameters() if p.dim() > 1]
        others = [p for p in network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": kernels, "weight_decay": self.recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.recipe.lr,
            fused=True,
        )
        total = self.recipe.epochs * task.steps
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            self.recipe.lr,
            total,
            pct_start=max(self.recipe.warmup, 2 / total),  # OneCycleLR needs two steps before the peak
        )
        self.epoch = 0  # the number of finished ones
        self.step = 0  # the number of finished ones in this epoch
        self.losses = torch.zeros((), device=self.device)  # sum over these steps
        self.seconds = 0.0  # that these steps took

    def train_epoch(self, save: Callable[[], None]) -> tuple[float, float]:
        """Train to the end of the epoch, and call `save` every SAVED seconds.

        Returns the mean loss and the seconds. Raises FloatingPointError if the loss is NaN.
        """
        self.network.train()
        bar = tqdm(
            desc=f"{self.name} {self.epoch + 1}/{self.recipe.epochs}",
            total=self.task.steps,
            initial=self.step,
            unit_scale=self.recipe.batch_size,
            unit=" images",
            mininterval=5,
        )
        start, saved = time.perf_counter() - self.seconds, time.perf_counter()
        with bar:
            while self.step < self.task.steps:
                self.losses += self.train_step()
                bar.update()
                if time.perf_counter() - saved >= SAVED and self.step < self.task.steps:
                    self.seconds = time.perf_counter() - start
                    self._check_loss()
                    save()
                    saved = time.perf_counter()
        mean, seconds = self._check_loss() / self.task.steps, time.perf_counter() - start
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.losses.zero_()
        return mean, seconds

    def train_step(self) -> torch.Tensor:
        """Train on the next batch. Returns the loss, without waiting for a GPU."""
        # Each step has random numbers of its own, so a resumed run draws what an unbroken one would.
        state = np.random.SeedSequence([self.seed, self.epoch, self.step]).generate_state(1)
        torch.manual_seed(int(state[0]))
        batch = self.task.batch(self.seed, self.epoch, self.step)
        with autocast(self.device):
            loss = self.task.loss(self.network, batch)
        loss.backward()
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.step += 1
        # The first steps move the average further; otherwise the random initial weights would stay in it for long.
        past = self.epoch * self.task.steps + self.step
        average(self.averaged, self.network, 1 - min(self.recipe.ema, past / (past + 10)))
        return loss.detach()

    def _check_loss(self) -> float:
        """The sum of the epoch's losses so far. Raises FloatingPointError if it is NaN."""
        total = self.losses.item()
        if total != total:
            raise FloatingPointError(f"{self.name}: the loss is NaN in epoch {self.epoch + 1} (lr {self.recipe.lr}).")
        return total

    def settings(self) -> dict[str, Any]:
        """The settings that must be equal when a checkpoint is resumed."""
        return {"name": self.name, "seed": self.seed, "recipe": dataclasses.asdict(self.recipe)}

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        done = {"epoch": self.epoch, "step": self.step, "losses": self.losses, "seconds": self.seconds}
        return {"settings": self.settings()} | done | {part: getattr(self, part).state_dict() for part in PARTS}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises ValueError if it belongs to a run with other settings."""
        if state["settings"] != self.settings():
            raise ValueError(
                f"The checkpoint of {self.name} has other settings ({state['settings']}); delete its folder or choose "
                f"another one with --out."
            )
        for part in PARTS:
            getattr(self, part).load_state_dict(state[part])
        self.epoch, self.step, self.losses, self.seconds = (
            state[key] for key in ("epoch", "step", "losses", "seconds")
        )


@torch.no_grad()
def average(averaged: nn.Module, current: nn.Module, weight: float) -> None:
    """Move the averaged weights towards the current ones by `weight`, 0 to 1."""
    for mean, value in zip(averaged.state_dict().values(), current.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, weight)
        else:  # a counter
            mean.copy_(value)


def pick_device(name: str) -> torch.device:
    """The torch device for "auto", "cpu" or "cuda". Raises ValueError if CUDA is requested but missing."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device; use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device) -> AbstractContextManager:
    """A context that computes in bfloat16 if the hardware multiplies bfloat16, else in float32."""
    if device.type == "cuda":
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        multiplies = "avx512_bf16" in _cpu("flags").split()
    return torch.autocast(device.type, torch.bfloat16) if multiplies else nullcontext()


def hardware(device: torch.device) -> str:
    """The name of the GPU, or of the CPU and the number of its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'s' * (threads > 1)}"


def processor() -> str:
    """The processor's name, as Linux gives it."""
    return _cpu("model name") or "CPU"


@cache
def _cpu(key: str) -> str:
    """One entry of CPUINFO; empty if there is none."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
