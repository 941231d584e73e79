"""A small convolutional network that learns MNIST in two minutes, for a first lesson.

Three convolutions and two linear layers with batch norm, a high learning rate and few epochs. It is not one of the
released networks; once it is exported and evaluated, the service runs it beside them.

    quintet train --quick
"""

import torch
from torch import nn

from training.digits import Digits
from training.recipe import MNIST_ALONE, Augment, DigitRecipe

TASK = Digits
# Digits are moved a little, and not degraded.
STEPS = "stroke", "outline", "smear", "jitter", "specks", "lines", "fog", "stripe"
AUGMENT = Augment(rotate=8.0, shear=0.1, scale=0.08, shift=1.0, elastic=0.0, **dict.fromkeys(STEPS))
RECIPE = DigitRecipe(
    epochs=3, batch_size=256, lr=1e-2, warmup=0.2, ema=0.98, sources=MNIST_ALONE, augment=AUGMENT, several=None
)
IN_8_BITS = True
RELEASED = False


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 24, 5, padding=2, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(48, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.Flatten()),  # (N, 64 * 5 * 5)
            *(nn.Linear(64 * 25, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10)),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers((images - 0.13) / 0.31)  # about MNIST's mean and deviation
