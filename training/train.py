"""Train one network: python -m training.train NAME.

Each epoch leaves in runs/NAME/ a checkpoint to resume from, a line in metrics.jsonl, and, when it is the best on the
validation images so far, the averaged weights in best.pt. The test set is not opened here.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from training import data, networks
from training.augment import degrade, move
from training.nondigits import spoil

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
    supported = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if supported else nullcontext()


@torch.no_grad()
def predict(network, images):
    """Logits (N, 10) float32, on the CPU, for images (N, 1, 28, 28) uint8."""
    network.eval()
    return torch.cat([network(data.to_unit(part)).float().cpu() for part in images.split(EVALUATION_BATCH)])


class Run:
    """A network in training: everything that a checkpoint holds."""

    def __init__(self, name, recipe, seed, device, steps_per_epoch):
        torch.manual_seed(seed)
        self.name, self.recipe, self.seed, self.device = name, recipe, seed, device
        network = networks.load(name).Network()
        if recipe.weights is not None:
            if not hasattr(network, "load_weights"):
                raise ValueError(f"--weights: {name} is trained from scratch; there are no weights to start from.")
            network.load_weights(recipe.weights)
        self.network = network.to(device, memory_format=torch.channels_last)
        self.averaged = deepcopy(self.network).requires_grad_(False)
        kernels = [p for p in network.parameters() if p.dim() > 1]
        others = [p for p in network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": kernels, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.lr,
            fused=True,
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.lr, recipe.epochs * steps_per_epoch, pct_start=recipe.warmup
        )
        self.step, self.metrics = 0, []

    def train_epoch(self, images, labels):
        """One pass over images (N, 1, 28, 28) uint8 in random order. Returns the mean loss."""
        epoch = len(self.metrics)
        torch.manual_seed(self.seed * 10_000 + epoch)  # a resumed run draws what an unbroken one would
        self.network.train()
        size = self.recipe.batch_size
        order = torch.randperm(len(images), device=self.device)[: len(images) // size * size].view(-1, size)
        total = torch.zeros((), device=self.device)
        title = f"{self.name} {epoch + 1}/{self.recipe.epochs}"
        for batch in tqdm(order, desc=title, unit_scale=size, unit=" images", mininterval=5):
            digits, targets = spoil(data.to_unit(images[batch]), labels[batch], self.recipe.nondigits)
            digits = move(digits, targets, self.recipe.augment)
            with autocast(self.device):
                loss = self.network.loss(digits, targets, self._degrade)
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
    """Train to the end of the recipe. Returns the metrics, one dict an epoch."""
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise ValueError(f"{checkpoint} exists; continue it with --resume, or name another folder with --out.")
    images, labels = (tensor.to(device) for tensor in data.load("train", root))
    held_images, held_labels = data.load("validation", root)
    held_images = held_images.to(device)
    run = Run(name, recipe, seed, device, len(images) // recipe.batch_size)
    if resume and checkpoint.exists():
        run.load(torch.load(checkpoint, map_location=device, weights_only=True))
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"hardware": hardware(device), "torch": str(torch.__version__), "commit": commit()}
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
        # The checkpoint last: a kill between these writes costs an epoch, which is then trained again.
        if run.metrics[-1] is max(run.metrics, key=lambda m: (m["validation_accuracy"], -m["validation_loss"])):
            best = {"settings": run.settings(), "network": run.averaged.state_dict(), "metrics": run.metrics}
            _save(best | origin, folder / "best.pt")
        lines = "".join(json.dumps(line) + "\n" for line in run.metrics)
        (folder / "metrics.jsonl").write_text(lines)
        _save(run.state(), checkpoint)
        print(json.dumps(run.metrics[-1]), flush=True)
    return run.metrics


def hardware(device):
    """The name of the processor that trains."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{model}, {torch.get_num_threads()} threads"


def commit():
    """The commit of the code that runs, with a + if it was changed since; "unknown" outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()


def _save(state, path):
    """Write beside, then rename: a kill leaves the old file whole."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help=", ".join(networks.NAMES))
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--weights", help="'imagenet', 'none' or a state dict's path; default: the recipe's")
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
        if arguments.weights is not None:
            recipe = dataclasses.replace(recipe, weights=None if arguments.weights == "none" else arguments.weights)
        device = pick_device(arguments.device)
        print(f"{arguments.name} on {hardware(device)}, seed {arguments.seed}: {recipe}", flush=True)
        folder = arguments.out / arguments.name
        train(arguments.name, recipe, arguments.seed, device, folder, arguments.data, arguments.resume)
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
