"""A line of writing to its characters: convolutions over its columns, two attention layers, an answer per two columns.

Differs from CRNN (Shi et al., https://arxiv.org/abs/1507.05717), whose plan it follows: attention takes the place of
the LSTM, with a depthwise convolution that says where a column stands (https://arxiv.org/abs/2102.10882); and each
column of features, four pixels wide, answers twice, so that there is room for a blank between two thin strokes.
It learns from lines that are made up as it goes.

    quintet train line
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from service.reading.line import CHARACTERS, CLASSES, CONTRAST, DIGITS, HEIGHT, PAPER, STEP, batched, characters
from training.data import things
from training.layers import Residual, attention, convolution
from training.recipe import Recipe
from training.scenes import texts
from training.scenes.hands import Signs
from training.scenes.lines import Composer, Line
from training.task import Graph, Task

WIDTHS = 32, 64, 128, 192  # channels at 1/2, 1/4, 1/8 of the height and of the columns
ROWS = HEIGHT // 8
COLUMN = 4  # pixels
WIDTHS_APART = 32  # pixels: of few widths, kernels of a CPU are made for few (7 % faster)
VALIDATION = 700  # lines by writers of the validation split
GROUP = 8  # batches composed together and sorted by width: little of a batch is padding
SHORT = ((400, 2), (1000, 5))  # until a step, lines have at most so many characters: CTC finds no way into long ones


@dataclass(frozen=True, kw_only=True)
class LineRecipe(Recipe):
    """Connectionist Temporal Classification (Graves et al., https://doi.org/10.1145/1143844.1143891)."""

    steps: int = 1000  # of an epoch


RECIPE = LineRecipe(epochs=23, batch_size=32, lr=2e-3, warmup=0.1, weight_decay=0.02, clip=2.0)


@dataclass(frozen=True)
class Batch:
    lines: torch.Tensor  # (N, 1, HEIGHT, W) float32, grey levels, filled up with paper
    steps: torch.Tensor  # (N,) of the answer that are of the line itself
    labels: torch.Tensor  # (L,) int64, the classes of all lines, one after another
    lengths: torch.Tensor  # (N,) how many of them are each line's


class Lines(Task):
    """Lines by training writers, and by validation writers for the figures."""

    recipe: LineRecipe

    @cached_property
    def composer(self) -> Composer:
        return self._composer("train")

    @cached_property
    def validation(self) -> list[Line]:
        return self._composer("validation").lines(VALIDATION, [0])

    @cached_property
    def _made(self) -> dict[tuple[int, int, int], list[Batch]]:
        """The batches composed last."""
        return {}

    def _composer(self, split: str) -> Composer:
        signs = Signs.load(split, self.data.root, self.data.writers)
        return Composer(signs, np.random.default_rng(0), things.textures(split, self.data.writers))

    @property
    def steps(self) -> int:
        return self.recipe.steps

    def batch(self, seed: int, epoch: int, step: int) -> Batch:
        group = seed, epoch, step // GROUP
        if group not in self._made:
            past = epoch * self.steps + step // GROUP * GROUP
            longest = next((most for until, most in SHORT if past < until), 2 * texts.LONGEST)
            count, generator = self.recipe.batch_size, np.random.default_rng([*group, 1])
            lines = sorted(self.composer.lines(count * GROUP, list(group), longest), key=lambda one: one.grey.shape[1])
            parts = [lines[start * count : (start + 1) * count] for start in generator.permutation(GROUP)]
            self._made.clear()
            self._made[group] = [batch_of(part, self.device) for part in parts]
        return self._made[group][step % GROUP]

    def loss(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16):  # a third faster on a CPU that has AVX512-BF16
            said = network(batch.lines)
        said = said.float().transpose(0, 1)
        return F.ctc_loss(said, batch.labels, batch.steps, batch.lengths, zero_infinity=True)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Shares of the lines read exactly: numbers, lines with signs or other marks; and those without a digit."""
        network.eval()
        found: dict[str, list[bool]] = {}
        ordered = sorted(self.validation, key=lambda one: one.grey.shape[1])
        for start in range(0, len(ordered), self.recipe.batch_size):
            part = ordered[start : start + self.recipe.batch_size]
            batch = batch_of(part, self.device)
            for line, said, steps in zip(part, network(batch.lines).cpu().numpy(), batch.steps.tolist(), strict=True):
                text = "".join(one.sign for one in characters(said[:steps]))
                digits = {one for one in line.text if one in DIGITS}
                kind = "silent" if not digits else "number" if line.text.isdigit() else "signs"
                right = text == line.text if digits else not any(one in DIGITS for one in text)
                found.setdefault(kind, []).append(right)
        return {kind: float(np.mean(right)) for kind, right in sorted(found.items())}

    def graph(self, network: nn.Module) -> "Reader":
        return Reader(network)


TASK = Lines


def batch_of(lines: list[Line], device: torch.device) -> Batch:
    steps = [-(-line.grey.shape[1] // COLUMN) * COLUMN // STEP for line in lines]
    classes = [CHARACTERS.index(sign) + 1 for line in lines for sign in line.text]
    return Batch(
        lines=torch.from_numpy(batched([line.grey for line in lines], WIDTHS_APART)).to(device).float(),
        steps=torch.tensor(steps, device=device),
        labels=torch.tensor(classes, dtype=torch.int64, device=device),
        lengths=torch.tensor([len(line.text) for line in lines], device=device),
    )


class Reader(Graph):
    """lines (N, 1, HEIGHT, W) uint8 -> log_probabilities (N, W / STEP, CLASSES) float32."""

    outputs = ("log_probabilities",)
    tolerance = 1e-3

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.examples = {"lines": torch.randint(0, 256, (2, 1, HEIGHT, 16 * COLUMN), dtype=torch.uint8)}
        self.dynamic = {"lines": {0: torch.export.Dim("N", min=1), 3: COLUMN * torch.export.Dim("columns", min=2)}}
        self.properties: dict[str, Any] = {
            "input": f"lines uint8 (N, 1, {HEIGHT}, W), grey levels on paper of {PAPER}, W a multiple of {COLUMN}",
            "output": f"log_probabilities float32 (N, W / {STEP}, {CLASSES}): blank, then {CHARACTERS}",
        }

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        return self.network(lines.float())

    def trials(self) -> list[dict[str, torch.Tensor]]:
        sizes = (1, 1, HEIGHT, 8 * COLUMN), (5, 1, HEIGHT, 75 * COLUMN)
        return [{"lines": torch.randint(0, 256, size, dtype=torch.uint8)} for size in sizes]


class Network(nn.Module):
    """Grey lines to how likely each class is, step by step."""

    def __init__(self, widths: tuple[int, int, int, int] = WIDTHS, layers: int = 2) -> None:
        super().__init__()
        half, quarter, eighth, column = widths
        self.see = nn.Sequential(
            nn.PixelUnshuffle(2),
            *convolution(4, half),  # (N, 32, 20, W/2)
            *convolution(half, quarter, stride=2),  # (N, 64, 10, W/4)
            Residual(quarter),
            *convolution(quarter, eighth, stride=(2, 1)),  # (N, 128, 5, W/4)
            Residual(eighth),
            nn.Conv2d(eighth, column, (ROWS, 3), padding=(0, 1), bias=False),  # (N, 192, 1, W/4)
            nn.BatchNorm2d(column),
            nn.ReLU(inplace=True),
        )
        self.mix = nn.ModuleList(_Attention(column) for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(column), nn.Linear(column, 2 * CLASSES))

    def forward(self, lines: torch.Tensor) -> torch.Tensor:
        """lines (N, 1, HEIGHT, W) float32, grey levels, W a multiple of 4 -> log-probabilities (N, W/2, CLASSES)."""
        x = self.see((lines - PAPER) / CONTRAST)[:, :, 0].transpose(1, 2)  # (N, W/4, 192)
        for layer in self.mix:
            x = layer(x)
        x = self.head(x)
        return x.reshape(x.shape[0], -1, CLASSES).log_softmax(2)


class _Attention(nn.Module):
    """A transformer layer over the columns (N, T, D)."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.place = nn.Conv1d(width, width, 5, padding=2, groups=width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.each = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.place(x.transpose(1, 2)).transpose(1, 2)
        n, t, width = x.shape
        query, key, value = self.ask(self.norms[0](x)).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = attention(query, key, value)
        x = x + self.answer(seen.transpose(1, 2).reshape(n, t, width))
        return x + self.each(self.norms[1](x))
