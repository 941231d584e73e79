"""Vision Transformer (Dosovitskiy et al., https://arxiv.org/abs/2010.11929), small, from scratch.

It differs from the paper because there is little data: it has six blocks of width 96, each with an MLP of twice that
width, and three convolutions with a total stride of 4 instead of linear 4x4 patches (Xiao et al.,
https://arxiv.org/abs/2106.14881).

    quintet train vit
"""

import torch
from torch import nn

from training.data.mnist import SIZE
from training.digits import Digits
from training.layers import attention, convolution
from training.recipe import DigitRecipe

TASK = Digits
RECIPE = DigitRecipe(epochs=16, batch_size=128, lr=2e-3, weight_decay=0.05, clip=1.0, ema=0.999)
GRID = SIZE // 4  # 7 patches a side
WIDTH, BLOCKS, HEADS, MLP = 96, 6, 3, 192


class Block(nn.Module):
    """Pre-norm encoder block: multi-head self-attention, then an MLP, each added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, MLP), nn.GELU(), nn.Linear(MLP, WIDTH))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:  # (N, 50, WIDTH)
        n, length, _ = tokens.shape
        mixed = self.query_key_value(self.attention_norm(tokens))
        query, key, value = mixed.view(n, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        attended = attention(query, key, value)
        tokens = tokens + self.attention_out(attended.transpose(1, 2).reshape(n, length, WIDTH))
        return tokens + self.mlp(self.mlp_norm(tokens))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Sequential(
            *convolution(1, 32, stride=2),
            *convolution(32, 64),
            *convolution(64, WIDTH, stride=2),
        )
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = nn.Parameter(torch.randn(1, GRID * GRID + 1, WIDTH) * 0.02)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        n = images.shape[0]  # not len(images), which the exporter would turn into a constant
        tokens = self.patches(images).flatten(2).transpose(1, 2)  # (N, 49, WIDTH)
        tokens = torch.cat([self.class_token.expand(n, -1, -1), tokens], 1) + self.position
        return self.head(self.norm(self.blocks(tokens)[:, 0]))
