"""The network that reads a line: convolutions over its columns, two attention layers, and an answer every two columns.

Differs from CRNN (Shi et al., https://arxiv.org/abs/1507.05717), whose plan it follows: attention takes the place of
the LSTM, with a depthwise convolution that says where a column stands (https://arxiv.org/abs/2102.10882); and each
column of features, four pixels wide, answers twice, so that there is room for a blank between two thin strokes.
"""

import torch
import torch.nn.functional as F
from torch import nn

from service.reading.line import CLASSES, CONTRAST, HEIGHT, PAPER

WIDTHS = 32, 64, 128, 192  # channels at 1/2, 1/4, 1/8 of the height and of the columns
ROWS = HEIGHT // 8


class Network(nn.Module):
    """Grey lines to how likely each class is, step by step."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        half, quarter, eighth, column = widths
        self.see = nn.Sequential(
            nn.PixelUnshuffle(2),
            *_convolution(4, half),  # (N, 32, 20, W/2)
            *_convolution(half, quarter, stride=2),  # (N, 64, 10, W/4)
            _Residual(quarter),
            *_convolution(quarter, eighth, stride=(2, 1)),  # (N, 128, 5, W/4)
            _Residual(eighth),
            nn.Dropout2d(dropout),
            nn.Conv2d(eighth, column, (ROWS, 3), padding=(0, 1), bias=False),  # (N, 192, 1, W/4)
            nn.BatchNorm2d(column),
            nn.ReLU(inplace=True),
        )
        self.mix = nn.ModuleList(_Attention(column, dropout) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(column), nn.Dropout(dropout), nn.Linear(column, 2 * CLASSES))

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """lines (N, 1, HEIGHT, W) float32, grey levels, W a multiple of 4 -> log-probabilities (N, W/2, CLASSES)."""
        x = self.see((lines - PAPER) / CONTRAST)[:, :, 0].transpose(1, 2)  # (N, W/4, 192)
        for layer in self.mix:
            x = layer(x)
        x = self.head(x)
        return x.reshape(x.shape[0], -1, CLASSES).log_softmax(2)


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_convolution(channels, channels), *_convolution(channels, channels)[:2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.layers(x))


class _Attention(nn.Module):
    """A transformer layer over the columns (N, T, D)."""

    def __init__(self, width: int, dropout: float, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.place = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.each = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.place(x.transpose(1, 2)).transpose(1, 2)
        n, t, width = x.shape
        query, key, value = self.ask(self.norms[0](x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.answer(seen.transpose(1, 2).reshape(n, t, width))
        return x + self.each(self.norms[1](x))


def _convolution(channels: int, width: int, stride: int | tuple[int, int] = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, width, 3, stride, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
