"""Where a photograph is written on: a small U-Net (Ronneberger et al., https://arxiv.org/abs/1505.04597).

It is shown the picture twice, its levels evened out over the whole and around each pixel: the one keeps the broadest
pen apart from its paper, the other shows a pencil in a shadow. Two pixels by two are looked at as one, and answered as
four: half the side costs a quarter. Five scales, so that a hair line is sharp and a felt pen is still seen as a pen.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = (16, 24, 32, 48, 64)  # channels at 1/2, 1/4, ... 1/32 of the side
AROUND = 32  # pixels a side of what is around a pixel
LEAST_DEVIATION = 4.0  # grey levels: an empty sheet is not blown up


class Network(nn.Module):
    """Grey pictures to how likely each pixel is ink."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        channels = 2 * 4
        for width in WIDTHS:
            self.down.append(nn.Sequential(*_convolution(channels, width), *_convolution(width, width)))
            channels = width
        self.up = nn.ModuleList(
            nn.Sequential(*_convolution(below + width, width))
            for below, width in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(WIDTHS[0], 4, 1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """pictures (N, 1, H, W) float32, grey levels, sides multiples of 32 -> logits (N, 1, H, W)."""
        fours = F.pixel_unshuffle(pictures, 2)
        x = torch.cat([_even(fours, _whole), _even(fours, _around)], 1)
        seen = []
        for layer in self.down:
            x = layer(F.max_pool2d(x, 2) if seen else x)
            seen.append(x)
        for layer, beside in zip(self.up, seen[-2::-1], strict=True):
            x = layer(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), beside], 1))
        return F.pixel_shuffle(self.head(x), 2)


def _even(fours: torch.Tensor, mean: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """How far each pixel is from the mean, as a multiple of how far pixels are; (N, 4, H/2, W/2) each."""
    difference = fours - mean(fours)
    return difference / (mean(difference.square()).sqrt() + LEAST_DEVIATION)


def _whole(fours: torch.Tensor) -> torch.Tensor:
    """The mean of each picture, (N, 1, 1, 1)."""
    return fours.mean((1, 2, 3), keepdim=True)


def _around(fours: torch.Tensor) -> torch.Tensor:
    """The mean of what is around each pixel, (N, 1, H/2, W/2): of squares that overlap by half, and between them."""
    half = AROUND // 4
    squares = F.avg_pool2d(F.avg_pool2d(fours.mean(1, keepdim=True), half), 2, 1, 1, count_include_pad=False)
    return F.interpolate(squares, size=fours.shape[2:], mode="bilinear", align_corners=True)


def _convolution(channels: int, width: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
