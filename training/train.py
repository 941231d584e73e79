"""Train one network: python -m training.train NAME.

Each epoch leaves in runs/NAME/ a checkpoint to resume from, a line in metrics.jsonl, and, when it is the best on the
validation images so far, the averaged weights in best.pt; with --seeds N, in runs/seed0/NAME/ and so on. The test set
is not opened here. `training.loop.devices` says how to use several devices.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import sys
import time
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from training import networks
from training.data import mnist
from training.data.augmentation import degrade, move
from training.data.nondigits import spoil
from training.loop import devices, history
from training.loop.provenance import commit, hardware
from training.loop.weights import initialise

EVALUATION_BATCH = 500


def pick_device(name):
    """The torch device for "auto", "cpu" or "cuda". Raises ValueError if CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: PyTorch finds no CUDA device; use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device):
    """bfloat16 where the hardware multiplies it, else nothing."""
    supported = torch.cuda.is_bf16_supported(False) if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if supported else nullcontext()


@torch.no_grad()
def predict(network, images):
    """Logits (N, 10) float32, on the CPU, for images (N, 1, 28, 28) uint8."""
    network.eval()
    return torch.cat([network(mnist.to_unit(part)).float().cpu() for part in images.split(EVALUATION_BATCH)])


class Run:
    """A network in training: everything that a checkpoint holds."""

    def __init__(self, name, recipe, seed, device, steps_per_epoch, rank=0, size=1):
        """`rank` of `size` processes that train together."""
        torch.manual_seed(seed)
        self.name, self.recipe, self.seed, self.device, self.rank, self.size = name, recipe, seed, device, rank, size
        network = networks.load(name).Network()
        self.start = initialise(network, name, recipe.weights)
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
        steps = recipe.epochs * steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            recipe.lr,
            steps,
            pct_start=max(recipe.warmup, 2 / steps),  # one step up is none to it
        )
        self.step, self.metrics = 0, []

    def train_epoch(self, images, labels):
        """One pass over images (N, 1, 28, 28) uint8 in random order. Returns the mean loss."""
        epoch = len(self.metrics)
        torch.manual_seed(self.seed * 10_000 + epoch)  # a resumed run draws what an unbroken one would
        self.network.train()
        size = self.recipe.batch_size
        order = torch.randperm(len(images), device=self.device)[: len(images) // size * size].view(-1, size)
        if self.rank > 0:  # the same order for all, but each its own augmentation
            torch.manual_seed((self.seed * 10_000 + epoch) * self.size + self.rank)
        total = torch.zeros((), device=self.device)
        title = f"{self.name} {epoch + 1}/{self.recipe.epochs}"
        bar = tqdm(order, desc=title, unit_scale=size, unit=" images", mininterval=5, disable=self.rank > 0)
        for batch in bar:
            batch = batch[self.rank :: self.size]
            digits, targets = spoil(mnist.to_unit(images[batch]), labels[batch], self.recipe.nondigits)
            digits = move(digits, targets, self.recipe.augment)
            with autocast(self.device):
                loss = self.objective(digits, targets)
            loss.backward()
            if self.recipe.clip is not None:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.schedule.step()
            self._average()
            total += loss.detach()
        mean = (total / len(order)).item()
        if mean != mean:
            raise FloatingPointError(f"{self.name}: the loss became NaN in epoch {epoch + 1} (lr {self.recipe.lr}).")
        return mean

    def _degrade(self, images):
        with torch.autocast(self.device.type, enabled=False):
            return degrade(images, self.recipe.augment)

    @torch.no_grad()
    def _average(self):
        """Move the averaged weights towards the current ones; a short memory first, so that early epochs count."""
        self.step += 1
        weight = 1 - min(self.recipe.ema, self.step / (self.step + 10))
        averaged, current = self.averaged.state_dict().values(), self.network.state_dict().values()
        pairs = [pair for pair in zip(averaged, current, strict=True) if pair[0].is_floating_point()]
        torch._foreach_lerp_([pair[0] for pair in pairs], [pair[1] for pair in pairs], weight)

    def state(self):
        return {
            "settings": self.settings(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "metrics": self.metrics,
        }

    def settings(self):
        return {"name": self.name, "seed": self.seed, "recipe": dataclasses.asdict(self.recipe)}

    def load(self, state):
        """Continue from a checkpoint. Raises ValueError if it belongs to a run with other settings."""
        if state["settings"] != self.settings():
            raise ValueError(f"The checkpoint was made with other settings: {state['settings']}.")
        for part in ("network", "averaged", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        self.step, self.metrics = state["step"], state["metrics"]


def train(name, recipe, seed, device, folder, root=None, resume=False):
    """Train to the end of the recipe, with the other processes of torchrun, if any. Returns one dict an epoch."""
    rank, size, device = devices.join(device)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"{checkpoint} exists; continue it with --resume, or name another folder with --out.")
    images, labels = (tensor.to(device) for tensor in mnist.load("train", root))
    held_images, held_labels = mnist.load("validation", root)
    held_images = held_images.to(device)
    run = Run(name, recipe, seed, device, len(images) // recipe.batch_size, rank, size)
    if resume and checkpoint.exists():
        run.load(torch.load(checkpoint, map_location=device, weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"hardware": hardware(device), "torch": str(torch.__version__), "commit": commit()} | run.start
    while len(run.metrics) < recipe.epochs:
        start = time.perf_counter()
        loss = run.train_epoch(images, labels)
        trained = time.perf_counter()
        logits = predict(run.averaged, held_images)
        run.metrics.append(
            {
                "epoch": len(run.metrics) + 1,
                "train_loss": loss,
                "validation_loss": F.cross_entropy(logits, held_labels).item(),
                "validation_accuracy": (logits.argmax(1) == held_labels).float().mean().item(),
                "seconds": time.perf_counter() - start,
                "images_per_second": len(images) / (trained - start),
            }
        )
        if rank > 0:
            continue
        # The checkpoint last: a kill between these writes costs an epoch, which is then trained again.
        if run.metrics[-1] is history.best_of(run.metrics):
            best = {"settings": run.settings(), "network": run.averaged.state_dict(), "metrics": run.metrics}
            _save(best | origin, folder / "best.pt")
        history.write(folder, run.metrics)
        _save(run.state(), checkpoint)
        print(json.dumps(run.metrics[-1]), flush=True)
    return run.metrics


def _save(state, path):
    """Write beside, then rename: a kill leaves the old file whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help=", ".join(networks.NAMES))
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--lr", type=float, help="peak; default: the recipe's; a fraction of it to go on gently")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--seeds", type=int, metavar="N", help="train N times, with the seeds SEED, SEED + 1, ...")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--weights", help="'imagenet', 'none', a state dict's path, or a run's best.pt to go on from")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="default: runs")
    parser.add_argument("--resume", action="store_true", help="continue from the last finished epoch")
    arguments = parser.parse_args(argv)
    try:
        recipe = networks.load(arguments.name).RECIPE
        if arguments.epochs is not None:
            if arguments.epochs < 1:
                raise ValueError(f"--epochs {arguments.epochs}: at least 1.")
            recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
        if arguments.lr is not None:
            if not 0 < arguments.lr < math.inf:
                raise ValueError(f"--lr {arguments.lr}: a positive number.")
            recipe = dataclasses.replace(recipe, lr=arguments.lr)
        if arguments.seeds is not None and arguments.seeds < 1:
            raise ValueError(f"--seeds {arguments.seeds}: at least 1.")
        if arguments.weights is not None:
            recipe = dataclasses.replace(recipe, weights=None if arguments.weights == "none" else arguments.weights)
        device = pick_device(arguments.device)
        print(f"{arguments.name} on {hardware(device)}, seed {arguments.seed}: {recipe}", flush=True)
        seeds = range(arguments.seed, arguments.seed + (arguments.seeds or 1))
        accuracies = []
        for seed in seeds:
            out = arguments.out if arguments.seeds is None else arguments.out / f"seed{seed}"
            folder = out / arguments.name
            metrics = train(arguments.name, recipe, seed, device, folder, arguments.data, arguments.resume)
            accuracies.append(history.best_of(metrics)["validation_accuracy"])
        devices.leave()
        if arguments.seeds is not None:
            spread = {"mean": statistics.mean(accuracies)}
            spread["deviation"] = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
            print(json.dumps({"validation_accuracy": accuracies} | spread))
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
