"""The task that the networks which name digits share: batches of all sources, figures by source, the exported graph.

A detector's Network has three more methods than a classifier's:

- compose(images, labels) -> [(images, targets), ...], static: makes pages of a batch, each pair degraded on its own.
- loss(images, targets) -> scalar; the losses of the pairs are added.
- detect(images) -> boxes (N, K, 4), scores (N, K, 10), logits (N, 10) of the best box, the proposals (N, K, 4) that the
  boxes began as, and their objectness (N, K). Images may have any size; boxes are (x_min, y_min, x_max, y_max) in
  pixels of the input, best score first.

`compose` and `loss` can each be used alone: `loss` replaces `training.recipe.cross_entropy`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import nn

from training.data import mnist
from training.data.augmentation import degrade, move, spoil
from training.data.batches import LOAD, Batches
from training.recipe import NONE, DigitRecipe, cross_entropy
from training.task import Graph, Task

BATCH = 500  # images in one run of a network
REFUSED = 0.002  # share of MNIST's validation digits that a threshold refuses; .001 accepts 1.5 times as many letters
MOST = 2000  # maximum number of images of each source besides MNIST
SEED = 0  # for drawing images from strokes
TEMPERATURES = 0.1, 10.0  # lowest and highest that is considered
RANGES, RANGE_BATCH = 512, 32  # validation images from which the ranges of 8-bit activations are taken, and in one run
SMALLEST = 16  # pixels a side of a detector's smallest input
BOX_TOLERANCE = 0.25  # pixels: two boxes on one digit whose scores are equal to seven decimals may swap their order
SURE = 0.5  # score; PyTorch and the exported file must find the same boxes above it


class Digits(Task):
    """recipe: a `DigitRecipe`. A batch is a list of (images (N, 1, H, W) float32 in 0 to 1, targets)."""

    votes = True
    recipe: DigitRecipe

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.recipe.sources, self.recipe.batch_size, self.device, self.data.root, self.data.writers)

    @cached_property
    def validation(self) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """By source, images (N, 1, 28, 28) uint8 on the device and labels (N,); all epochs see the same drawings."""
        sets = {"mnist": mnist.load("validation", self.data.root)}
        for name in self.batches.written:
            images, labels = LOAD[name]("validation", self.data.writers).some(MOST, SEED)
            sets[name] = torch.from_numpy(images), torch.from_numpy(labels)
        return {name: (images.to(self.device), labels) for name, (images, labels) in sets.items()}

    @property
    def steps(self) -> int:
        return self.batches.steps

    def batch(self, seed: int, epoch: int, step: int) -> list[tuple[torch.Tensor, Any]]:
        """The augmentation is milder in the last epochs."""
        augment = self.recipe.augment
        if epoch >= self.recipe.epochs - self.recipe.mild_epochs:
            augment = augment.times(self.recipe.mild)
        images, labels = self.draw(seed, epoch, step)
        images, labels = spoil(mnist.to_unit(images), labels, self.recipe.several)
        images = move(images, augment)
        compose = getattr(self.module.Network, "compose", None)
        parts = [(images, labels)] if compose is None else compose(images, labels)
        return [(degrade(pictures, augment), targets) for pictures, targets in parts]

    def draw(self, seed: int, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The batch before augmentation: images (B, 1, 28, 28) uint8, MNIST's first, and labels (B,)."""
        return self.batches.batch(seed, epoch, step)

    def loss(self, network: Any, batch: list[tuple[torch.Tensor, Any]]) -> torch.Tensor:
        own = getattr(network, "loss", None)
        losses = [cross_entropy(network(i), t) if own is None else own(i, t) for i, t in batch]
        return torch.stack(losses).sum()

    def validate(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Figures by source, as shares of 1: accuracy, accepted_wrong and refused for digits, refused for non-digits.

        MNIST's figures include the loss. An image is refused if its confidence is below the threshold that refuses
        a share REFUSED of MNIST's validation digits.
        """
        found: dict[str, dict[str, float]] = {}
        threshold = 0.0
        for name, (images, labels) in self.validation.items():
            logits = predict(network, images)
            confidence, digit = logits.softmax(1).max(1)
            if name == "mnist":
                threshold = float(confidence.double().quantile(REFUSED))
            accepted = confidence >= threshold
            found[name] = {"refused": _share(~accepted)}
            if (labels != NONE).all():
                found[name]["accuracy"] = _share(digit == labels)
                found[name]["accepted_wrong"] = _share(accepted & (digit != labels))
            if name == "mnist":
                found[name]["loss"] = F.cross_entropy(logits, labels).item()
        return found

    def watch(self, network: nn.Module) -> str:
        """For each of `mnist.watched`, 1 if the network reads it right, else 0."""
        images, labels = mnist.watched(self.data.root)
        return "".join(str(int(right)) for right in predict(network, images.to(self.device)).argmax(1) == labels)

    def graph(self, network: nn.Module) -> "Classifier":
        """The graph with the temperature that fits MNIST's validation images."""
        images, labels = mnist.load("validation", self.data.root)
        logits = predict(network, images)
        graph = graph_of(network, temperature(logits.numpy(), labels.numpy()))
        graph.validation = images, labels, logits
        return graph


@torch.no_grad()
def predict(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits (N, 10) float32, on the CPU, for images (N, 1, 28, 28) uint8."""
    network.eval()
    return torch.cat([network(mnist.to_unit(part)).float().cpu() for part in images.split(BATCH)])


def _share(chosen: torch.Tensor) -> float:
    return chosen.float().mean().item()


def temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The number that logits (N, 10) must be divided by to minimise the negative log-likelihood of labels (N,).

    Log-probabilities can be passed as logits (temperature scaling, Guo et al., https://arxiv.org/abs/1706.04599).
    """
    logits, rows = np.asarray(logits, np.float64), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()

    found: Any = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(found.x))


class Classifier(Graph):
    """images (N, 1, 28, 28) uint8, 0 background to 255 ink -> calibrated probabilities (N, 10) float32."""

    outputs = ("probabilities",)
    tolerance = 1e-4

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network: Any = network
        self.temperature = temperature
        self.examples = {"images": torch.randint(0, 256, (3, 1, mnist.SIZE, mnist.SIZE), dtype=torch.uint8)}
        self.dynamic = {"images": {0: torch.export.Dim("N", min=1)}}
        self.properties = {
            "temperature": round(temperature, 4),
            "input": "images uint8 (N, 1, 28, 28), 0 background to 255 ink",
            "output": "probabilities float32 (N, 10)",
        }
        self.validation: tuple[torch.Tensor, ...] = ()  # MNIST's images, their labels, and PyTorch's logits

    def forward(self, images: torch.Tensor) -> Any:
        return (self.network(mnist.to_unit(images)) / self.temperature).softmax(1)

    def trials(self) -> list[dict[str, torch.Tensor]]:
        images, blank = self.validation[0], torch.zeros(2, 1, mnist.SIZE, mnist.SIZE, dtype=torch.uint8)
        return [{"images": some} for some in (images[:1], images[1:65], blank)]

    def samples(self) -> list[dict[str, np.ndarray]]:
        return [{"images": part.numpy()} for part in self.validation[0][:RANGES].split(RANGE_BATCH)]

    def check_8_bits(self, path: Path) -> None:
        """Raise RuntimeError if the file reads more than one validation image fewer than PyTorch."""
        images, labels, logits = self.validation
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        parts = images.split(BATCH)
        found = [np.asarray(session.run(["probabilities"], {"images": part.numpy()})[0]) for part in parts]
        right = int((np.concatenate(found).argmax(1) == labels.numpy()).sum())
        expected = int((logits.argmax(1) == labels).sum())
        if right < expected - 1:
            message = f"reads {right} of {len(images)} validation images correctly, but PyTorch reads {expected}"
            raise RuntimeError(f"{path}: {message}.")


class Detector(Classifier):
    """A classifier of images of any size that also returns all boxes (N, K, 4), their scores (N, K, 10) and proposals.

    The probabilities are those of the best box.
    """

    outputs = ("probabilities", "boxes", "scores", "proposals", "objectness")

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__(network, temperature)
        self.examples = {"images": torch.randint(0, 256, (3, 1, 40, 52), dtype=torch.uint8)}
        for axis, side in ((2, "H"), (3, "W")):
            self.dynamic["images"][axis] = torch.export.Dim(side, min=SMALLEST)
        self.properties |= {
            "input": "images uint8 (N, 1, H, W), 0 background to 255 ink",
            "output": "probabilities float32 (N, 10); boxes float32 (N, K, 4) x_min y_min x_max y_max in pixels; "
            "scores float32 (N, K, 10); proposals float32 (N, K, 4) like boxes, what the box head is given; "
            "objectness float32 (N, K), 0 to 1; 0 for a proposal that a better one covers",
        }

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        boxes, scores, logits, proposals, objectness = self.network.detect(mnist.to_unit(images))
        return (logits / self.temperature).softmax(1), boxes, scores, proposals, objectness

    def trials(self) -> list[dict[str, torch.Tensor]]:
        images = self.validation[0]
        rows = torch.cat([images[i : i + 6].transpose(0, 2).reshape(1, 1, mnist.SIZE, -1) for i in range(0, 48, 6)])
        return [*super().trials(), {"images": rows}, {"images": F.pad(rows[:1], (9, 30, 50, 21))}]

    def check(self, path: Path) -> None:
        """The boxes above SURE must be the same, in the same order, with the same classes."""
        for (expected, *boxes), (found, *found_boxes) in self.answers(path):
            self.compare(path, {"probabilities": (expected, found)})
            _check_boxes(boxes, found_boxes, path)


def _check_boxes(expected: list[np.ndarray], found: list[np.ndarray], path: Path) -> None:
    sure, still_sure = expected[1].max(2) > SURE, found[1].max(2) > SURE
    if (sure != still_sure).any():
        raise RuntimeError(f"{path}: finds {still_sure.sum()} boxes where PyTorch finds {sure.sum()}.")
    if (expected[1].argmax(2) != found[1].argmax(2))[sure].any():
        raise RuntimeError(f"{path}: gives boxes other classes than PyTorch.")
    largest = np.abs(expected[0] - found[0])[sure].max(initial=0)
    if largest > BOX_TOLERANCE:
        raise RuntimeError(f"{path}: boxes differ from PyTorch's by {largest:.2g} pixels; allowed: {BOX_TOLERANCE}.")


def graph_of(network: nn.Module, temperature: float) -> Classifier:
    """The graph of a network, in evaluation mode."""
    kind = Detector if hasattr(network, "detect") else Classifier
    graph = kind(network, temperature)
    graph.eval()
    return graph
