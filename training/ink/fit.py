"""Train the network that finds ink, on scenes that are made up as it goes; resumable.

After each epoch the run's folder holds a checkpoint, a line in metrics.jsonl, and the averaged weights.
"""

import dataclasses
import json
import math
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from training.data.photographs import Hands, scene
from training.ink import NAME
from training.ink.network import Network
from training.loop import devices, history
from training.loop.fit import CHECKPOINT, WEIGHTS, Data, locked, save
from training.loop.provenance import commit
from training.loop.run import average

VALIDATION = 160  # scenes by writers of the validation split
MEASURED = 3  # steps from which a plan takes its time


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """AdamW with torch's OneCycleLR; binary cross-entropy and a Dice loss; averaged weights are kept."""

    epochs: int = 40
    steps: int = 250  # of an epoch
    batch_size: int = 16
    size: int = 256  # pixels a side of a scene
    lr: float = 4e-3
    warmup: float = 0.1  # share of all steps before the peak
    weight_decay: float = 0.01
    missing: float = 2.0  # ink that is missed counts as this many pixels that are invented: a lost stem loses a digit
    dice: float = 0.5  # weight of the Dice loss, https://arxiv.org/abs/1606.04797: little ink counts as much as much
    ema: float = 0.998  # decay per step of the averaged weights


def fit(
    recipe: Recipe, seed: int, device: torch.device, folder: Path, data: Data, resume: bool = False
) -> list[dict[str, Any]]:
    """Train to the end of the recipe. Returns one dict an epoch.

    Raises ValueError if `folder` holds a run and `resume` is not set, or if its settings are others.
    """
    with locked(folder, rank=0):
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists() and not resume:
            raise ValueError(f"{checkpoint} exists; continue it with --resume, or name another folder with --out.")
        hands = Hands.load("train", data.root, data.writers)
        validation = scenes(Hands.load("validation", data.root, data.writers), VALIDATION, recipe.size, [seed, 1])
        run = Run(recipe, seed, device)
        metrics: list[dict[str, Any]] = []
        if checkpoint.exists():
            run.load(torch.load(checkpoint, map_location=device, weights_only=True))
            metrics = history.read(folder)[: run.epoch]
        origin = {"hardware": devices.hardware(device), "torch": str(torch.__version__), "commit": commit()}
        origin |= {"settings": run.settings()}
        while run.epoch < recipe.epochs:
            start = time.perf_counter()
            line: dict[str, Any] = {"train_loss": run.train_epoch(hands)}
            line = {"epoch": run.epoch} | line | {"validation": measure(run.averaged.eval(), *validation, device)}
            metrics.append(line | {"seconds": time.perf_counter() - start})
            # The checkpoint last: a kill between these writes costs an epoch, which is then trained again.
            save(origin | {"network": run.averaged.state_dict()}, folder / WEIGHTS)
            history.write(folder, metrics)
            save(run.state(), checkpoint)
            print(json.dumps(metrics[-1]), flush=True)
    return metrics


class Run:
    """The network in training, and everything that a checkpoint holds."""

    def __init__(self, recipe: Recipe, seed: int, device: torch.device) -> None:
        torch.manual_seed(seed)
        self.recipe, self.seed, self.device, self.epoch = recipe, seed, device, 0
        network: torch.nn.Module = Network()
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.averaged = deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        total = recipe.epochs * recipe.steps
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.lr, total, pct_start=max(recipe.warmup, 2 / total)
        )

    def train_epoch(self, hands: Hands) -> float:
        """Train on one epoch's scenes. Returns the mean loss. Raises FloatingPointError if that is no number."""
        self.network.train()
        total = 0.0
        for step in tqdm(
            range(self.recipe.steps), f"{NAME} {self.epoch + 1}/{self.recipe.epochs}", unit=" steps", mininterval=5
        ):
            seed = [self.seed, 2, self.epoch, step]  # a resumed run draws what an unbroken one would
            total += self.train_step(*scenes(hands, self.recipe.batch_size, self.recipe.size, seed, self.device))
            past = self.epoch * self.recipe.steps + step + 1
            average(self.averaged, self.network, 1 - min(self.recipe.ema, past / (past + 10)))
        if not math.isfinite(total):
            raise FloatingPointError(f"{NAME}: the loss is NaN in epoch {self.epoch + 1} (lr {self.recipe.lr}).")
        self.epoch += 1
        return total / self.recipe.steps

    def train_step(self, pictures: torch.Tensor, ink: torch.Tensor) -> float:
        with devices.autocast(self.device):
            logits = self.network(pictures)
        loss = loss_of(logits.float(), ink, self.recipe)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        return loss.item()

    def settings(self) -> dict[str, Any]:
        return {"name": NAME, "seed": self.seed, "recipe": dataclasses.asdict(self.recipe)}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts = {part: getattr(self, part).state_dict() for part in ("network", "averaged", "optimizer", "schedule")}
        return {"settings": self.settings(), "epoch": self.epoch} | parts

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises ValueError if it belongs to a run with other settings."""
        if state["settings"] != self.settings():
            raise ValueError(f"The checkpoint of {NAME} was made with other settings: {state['settings']}.")
        for part in ("network", "averaged", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        self.epoch = state["epoch"]


def seconds_an_epoch(recipe: Recipe, device_name: str, data: Data, threads: int = 1) -> float:
    """How long an epoch takes on this machine, from a few of its steps."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run, hands = Run(recipe, 0, devices.pick_device(device_name)), Hands.load("train", data.root, data.writers)
        start = 0.0
        for step in range(MEASURED + 1):
            if step == 1:  # the first is slower
                start = time.perf_counter()
            run.train_step(*scenes(hands, recipe.batch_size, recipe.size, [step], run.device))
        return (time.perf_counter() - start) / MEASURED * recipe.steps
    finally:
        torch.set_num_threads(before)


def scenes(
    hands: Hands, count: int, size: int, seed: list[int], device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (N, 1, size, size) float32, grey levels, and their ink, 0 to 1; the same seed gives the same."""
    generator = np.random.default_rng(seed)
    made = [scene(hands, size, generator) for _ in range(count)]
    pictures = torch.from_numpy(np.stack([one.picture for one in made]))[:, None].to(device).float()
    return pictures, torch.from_numpy(np.stack([one.ink for one in made]))[:, None].to(device).float() / 255


def loss_of(logits: torch.Tensor, ink: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """Cross-entropy, and how little the two overlap; both (N, 1, H, W)."""
    found = logits.sigmoid()
    shared, both = (found * ink).sum((1, 2, 3)), (found + ink).sum((1, 2, 3))
    overlap = (2 * shared + 10) / (both + 10)
    missing = torch.tensor(recipe.missing, device=ink.device)
    return F.binary_cross_entropy_with_logits(logits, ink, pos_weight=missing) + recipe.dice * (1 - overlap.mean())


@torch.no_grad()
def measure(
    network: torch.nn.Module, pictures: torch.Tensor, ink: torch.Tensor, device: torch.device
) -> dict[str, float]:
    """Of the ink's pixels the share that is missed, and the pixels that are invented as a share of the ink's."""
    found = torch.cat([network(part.to(device)).cpu() for part in pictures.split(16)]) > 0
    there = ink > 0.5
    count = int(there.sum())
    return {"missed": int((there & ~found).sum()) / count, "invented": int((found & ~(ink > 0)).sum()) / count}
