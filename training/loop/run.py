"""A network in training: its steps and the state that a checkpoint holds."""

import dataclasses
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from training.loop import devices
from training.recipe import initialise
from training.task import Task

SAVED = 300.0  # seconds from one checkpoint to the next within an epoch
PARTS = "network", "averaged", "optimizer", "schedule"


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
        with devices.autocast(self.device):
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
