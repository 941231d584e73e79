"""Measure a network on the validation images of MNIST and of each other source."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from training.data import mnist
from training.data.batches import LOAD
from training.data.nondigits import NONE

BATCH = 500
REFUSED = 0.002  # share of MNIST's validation digits that a threshold refuses; .001 accepts 1.5 times as many letters
MOST = 2000  # maximum number of images of each source besides MNIST
SEED = 0  # for drawing images from strokes


@torch.no_grad()
def predict(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits (N, 10) float32, on the CPU, for images (N, 1, 28, 28) uint8."""
    network.eval()
    return torch.cat([network(mnist.to_unit(part)).float().cpu() for part in images.split(BATCH)])


class Validation:
    """The validation images of MNIST and of the other writers. Strokes are drawn once, so all epochs see the same."""

    def __init__(
        self,
        device: torch.device,
        names: list[str],
        root: Path | str | None = None,
        writers: Path | str | None = None,
    ) -> None:
        """names: the sources besides MNIST, keys of `training.data.batches.LOAD`."""
        self.sets = {"mnist": mnist.load("validation", root)}
        for name in names:
            source = LOAD[name]("validation", writers)
            generator = np.random.default_rng(SEED)
            rows = np.sort(generator.permutation(len(source))[:MOST])
            images = torch.from_numpy(source.draw(rows, generator))[:, None]
            self.sets[name] = images, torch.from_numpy(source.labels[rows])
        self.sets = {name: (images.to(device), labels) for name, (images, labels) in self.sets.items()}

    def measure(self, network: torch.nn.Module) -> dict[str, dict[str, float]]:
        """Figures by source, as shares of 1: accuracy, accepted_wrong and refused for digits, refused for non-digits.

        MNIST's figures include the loss. An image is refused if its confidence is below the threshold that refuses
        a share REFUSED of MNIST's validation digits.
        """
        found: dict[str, dict[str, float]] = {}
        threshold = 0.0
        for name, (images, labels) in self.sets.items():
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


def _share(chosen: torch.Tensor) -> float:
    return chosen.float().mean().item()
