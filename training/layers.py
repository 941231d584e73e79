"""The layers that several networks are made of."""

import math
from collections.abc import Sequence

import torch
from torch import nn


def convolution(channels: int, width: int, stride: int | tuple[int, int] = 1) -> tuple[nn.Module, ...]:
    """A 3x3 convolution with batch norm (Ioffe & Szegedy, https://arxiv.org/abs/1502.03167) and ReLU."""
    return (
        nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions, added to their input (He et al., https://arxiv.org/abs/1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.layers(x))


def stages(channels: int, widths: Sequence[int]) -> nn.Sequential:
    """A convolution and a residual block of each width; between two widths, the sides are halved."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [*convolution(channels, width), Residual(width), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers[:-1])


def head(features: int, width: int) -> nn.Sequential:
    """Features (N, C, 1, 1) to ten logits, by way of one hidden layer with batch norm."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(features, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)),
        nn.Linear(width, 10),
    )


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """What each of N queries sees of M values, by its likeness to their keys (Vaswani et al., arXiv 1706.03762).

    query: (..., N, C); key, value: (..., M, C). Returns (..., N, C).

    On a CPU, a step of training with torch's scaled_dot_product_attention takes almost twice as long.
    """
    likeness = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
    return likeness.to(value.dtype) @ value
