"""AlexNet as torchvision has it ("One weird trick", https://arxiv.org/abs/1404.5997), fine-tuned from ImageNet.

It differs from torchvision's network in three ways: batch norm after each convolution, 64x64 input, and one hidden
layer of 512 with batch norm instead of two of 4096 with dropout.

    quintet train alexnet
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import AlexNet_Weights, alexnet

from training.digits import Digits
from training.layers import head
from training.recipe import DigitRecipe, features_from

TASK = Digits
RECIPE = DigitRecipe(epochs=22, batch_size=256, lr=6e-4, weights="imagenet")
IN_8_BITS = True  # several times faster on a CPU
SIZE = 64  # pixels a side; the last pooling layer reduces them to one cell
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB normalisation of the ImageNet weights


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*_with_norms(alexnet().features))
        self.head = head(256, 512)
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def load_weights(self, source: str) -> None:
        pretrained = alexnet().features
        pretrained.load_state_dict(features_from(source, "alexnet", AlexNet_Weights.DEFAULT))
        for own, other in zip(_convolutions(self.features), _convolutions(pretrained), strict=True):
            own.load_state_dict(other.state_dict())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        return self.head(self.features((images - self.mean) / self.std))


def _with_norms(layers: nn.Module) -> Iterator[nn.Module]:
    """The layers, with a batch norm after each convolution."""
    for layer in layers.children():
        yield layer
        if isinstance(layer, nn.Conv2d):
            yield nn.BatchNorm2d(layer.out_channels)


def _convolutions(layers: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in layers.children() if isinstance(layer, nn.Conv2d)]
