"""The layers that several networks are made of."""

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
