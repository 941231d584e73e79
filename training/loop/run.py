"""A network in training: its epochs and the state that a checkpoint holds."""

import dataclasses
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from training import networks
from training.data import mnist
from training.data.augmentation import degrade, move
from training.data.batches import Batches
from training.data.nondigits import spoil
from training.loop import devices
from training.loop.recipe import Recipe
from training.loop.weights import initialise


class Run:
    """The training of the network `name` by `recipe`, alone or as process `rank` of `size` processes."""

    def __init__(
        self, name: str, recipe: Recipe, seed: int, device: torch.device, steps: int, rank: int = 0, size: int = 1
    ) -> None:
        """steps: the number of batches in an epoch."""
        torch.manual_seed(seed)
        self.name, self.recipe, self.seed, self.device, self.rank, self.size = name, recipe, seed, device, rank, size
        network = networks.load(name).Network()
        self.initial_weights = initialise(network, name, recipe.weights)
        self.network = network.to(device, memory_format=torch.channels_last)
        self.averaged = deepcopy(self.network).requires_grad_(False)
        self.objective = devices.objective(self.network, self._degrade, size)
        kernels = [p for p in network.parameters() if p.dim() > 1]
        others = [p for p in network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": kernels, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.lr,
            fused=True,
        )
        total = recipe.epochs * steps
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            recipe.lr,
            total,
            pct_start=max(recipe.warmup, 2 / total),  # OneCycleLR needs two steps before the peak
        )
        self.step, self.epoch, self.augment = 0, 0, recipe.augment

    def train_epoch(self, batches: Batches) -> float:
        """Train on one epoch's batches. Returns the mean loss. Raises FloatingPointError if it is NaN."""
        seed = [self.seed, self.epoch]  # a resumed run gets the same batches as an uninterrupted one
        torch.manual_seed((self.seed * 10_000 + self.epoch) * self.size + self.rank)
        mild = self.epoch >= self.recipe.epochs - self.recipe.mild_epochs
        self.augment = self.recipe.augment.times(self.recipe.mild) if mild else self.recipe.augment
        self.network.train()
        total = torch.zeros((), device=self.device)
        bar = tqdm(
            batches.epoch(seed, self.rank, self.size),
            f"{self.name} {self.epoch + 1}/{self.recipe.epochs}",
            batches.steps,
            unit_scale=batches.batch_size,
            unit=" images",
            mininterval=5,
            disable=self.rank > 0,
        )
        for images, labels in bar:
            total += self.train_step(images, labels)
        mean = devices.mean(total / batches.steps, self.size).item()
        if mean != mean:
            raise FloatingPointError(f"{self.name}: the loss is NaN in epoch {self.epoch + 1} (lr {self.recipe.lr}).")
        self.epoch += 1
        return mean

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Train on images (B, 1, 28, 28) uint8, MNIST's before the others', and labels (B,). Returns the loss."""
        digits, targets = spoil(mnist.to_unit(images), labels, self.recipe.several)
        digits = move(digits, self.augment)
        with devices.autocast(self.device):
            # Processes' shares of a batch differ in size by a few images. With these weights, the mean over processes
            # is the mean over images.
            loss = self.objective(digits, targets) * (len(images) * self.size / self.recipe.batch_size)
        loss.backward()
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self._average()
        return loss.detach()

    def _degrade(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(self.device.type, enabled=False):
            return degrade(images, self.augment)

    def _average(self) -> None:
        """Move the averaged weights towards the current ones.

        The first steps move them further; otherwise the random initial weights would stay in the average for long.
        """
        self.step += 1
        weight = 1 - min(self.recipe.ema, self.step / (self.step + 10))
        average(self.averaged, self.network, weight)

    def settings(self) -> dict[str, Any]:
        """The settings that must be equal when a checkpoint is resumed."""
        return {"name": self.name, "seed": self.seed, "recipe": dataclasses.asdict(self.recipe)}

    def state(self) -> dict[str, Any]:
        """The content of a checkpoint."""
        return {
            "settings": self.settings(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "epoch": self.epoch,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises ValueError if it belongs to a run with other settings."""
        if state["settings"] != self.settings():
            raise ValueError(
                f"The checkpoint of {self.name} has other settings ({state['settings']}); delete its folder or choose "
                f"another one with --out."
            )
        for part in ("network", "averaged", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        self.step, self.epoch = state["step"], state["epoch"]


@torch.no_grad()
def average(averaged: nn.Module, current: nn.Module, weight: float) -> None:
    """Move the averaged weights towards the current ones by `weight`, 0 to 1."""
    for mean, value in zip(averaged.state_dict().values(), current.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, weight)
        else:  # a counter
            mean.copy_(value)
