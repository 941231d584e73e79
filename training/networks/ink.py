"""Where a photograph is written on: a small U-Net (Ronneberger et al., https://arxiv.org/abs/1505.04597).

It is shown the picture twice, its levels evened out over the whole and around each pixel: the one keeps the broadest
pen apart from its paper, the other shows a pencil in a shadow. Two pixels by two are looked at as one, and answered as
four: half the side costs a quarter. Five scales, so that a hair line is sharp and a felt pen is still seen as a pen.
It learns from scenes that are made up as it goes.

    quintet train ink
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from service.picture.ink import MULTIPLE
from training.layers import convolution
from training.recipe import Recipe
from training.scenes.scene import Hands, scene
from training.task import Graph, Task

WIDTHS = (16, 24, 32, 48, 64)  # channels at 1/2, 1/4, ... 1/32 of the side
AROUND = 32  # pixels a side of what is around a pixel
LEAST_DEVIATION = 4.0  # grey levels: an empty sheet is not blown up
VALIDATION = 160  # scenes by writers of the validation split


@dataclass(frozen=True, kw_only=True)
class InkRecipe(Recipe):
    """Binary cross-entropy and a Dice loss, on scenes."""

    steps: int = 250  # of an epoch
    size: int = 256  # pixels a side of a scene
    missing: float = 2.0  # ink that is missed counts as this many pixels that are invented: a lost stem loses a digit
    # Weight of the Dice loss, https://arxiv.org/abs/1606.04797: a picture with little ink weighs as much as a full one.
    dice: float = 0.5


RECIPE = InkRecipe(epochs=40, batch_size=16, lr=4e-3, warmup=0.1, weight_decay=0.01)


class Scenes(Task):
    """A batch is pictures (N, 1, S, S) float32, grey levels, and their ink, float32 in the same shape, 0 to 1."""

    recipe: InkRecipe

    @cached_property
    def hands(self) -> Hands:
        return Hands.load("train", self.data.root, self.data.writers)

    @cached_property
    def validation(self) -> tuple[torch.Tensor, torch.Tensor]:
        hands = Hands.load("validation", self.data.root, self.data.writers)
        return scenes(hands, VALIDATION, self.recipe.size, [0])

    def batch(self, seed: int, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        pictures, ink = scenes(self.hands, self.recipe.batch_size, self.recipe.size, [seed, epoch, step])
        return pictures.to(self.device), ink.to(self.device)

    def loss(self, network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        pictures, ink = batch
        return loss_of(network(pictures).float(), ink, self.recipe)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """The share of the ink's pixels that is missed; the pixels that are invented, as a share of the ink's."""
        network.eval()
        pictures, ink = self.validation
        found = torch.cat([network(part.to(self.device)).cpu() for part in pictures.split(16)]) > 0
        there = ink > 0.5
        count = int(there.sum())
        return {"missed": int((there & ~found).sum()) / count, "invented": int((found & ~(ink > 0)).sum()) / count}

    def graph(self, network: nn.Module) -> "Finder":
        return Finder(network)


TASK = Scenes


def scenes(hands: Hands, count: int, size: int, seed: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and their ink, as `Scenes` describes a batch; the same seed gives the same."""
    generator = np.random.default_rng(seed)
    made = [scene(hands, size, generator) for _ in range(count)]
    pictures, ink = (np.stack([getattr(one, part) for one in made])[:, None] for part in ("picture", "ink"))
    return torch.from_numpy(pictures).float(), torch.from_numpy(ink).float() / 255


def loss_of(logits: torch.Tensor, ink: torch.Tensor, recipe: InkRecipe) -> torch.Tensor:
    """Cross-entropy, and how little the two overlap; both (N, 1, H, W) float32."""
    found = logits.sigmoid()
    shared, both = (found * ink).sum((1, 2, 3)), (found + ink).sum((1, 2, 3))
    overlap = (2 * shared + 10) / (both + 10)
    missing = torch.tensor(recipe.missing, device=ink.device)
    return F.binary_cross_entropy_with_logits(logits, ink, pos_weight=missing) + recipe.dice * (1 - overlap.mean())


class Finder(Graph):
    """pictures (N, 1, H, W) uint8, grey levels -> ink (N, 1, H, W) uint8, 255 where there surely is ink."""

    outputs = ("ink",)
    tolerance = 1.0  # of 255

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.examples = {"pictures": torch.randint(0, 256, (2, 1, 2 * MULTIPLE, 3 * MULTIPLE), dtype=torch.uint8)}
        rows, columns = (MULTIPLE * torch.export.Dim(side, min=1) for side in ("rows", "columns"))
        self.dynamic = {"pictures": {0: torch.export.Dim("N", min=1), 2: rows, 3: columns}}
        self.properties: dict[str, Any] = {
            "input": f"pictures uint8 (N, 1, H, W), grey levels, sides multiples of {MULTIPLE}",
            "output": "ink uint8 (N, 1, H, W), 255 where there surely is ink",
        }

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return (self.network(pictures.float()).sigmoid() * 255).round().to(torch.uint8)

    def trials(self) -> list[dict[str, torch.Tensor]]:
        sizes = (1, 1, 256, 256), (2, 1, 96, 320)
        return [{"pictures": torch.randint(0, 256, size, dtype=torch.uint8)} for size in sizes]


class Network(nn.Module):
    """Grey pictures to how likely each pixel is ink."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList()
        channels = 2 * 4
        for width in WIDTHS:
            self.down.append(nn.Sequential(*convolution(channels, width), *convolution(width, width)))
            channels = width
        self.up = nn.ModuleList(
            nn.Sequential(*convolution(below + width, width))
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
