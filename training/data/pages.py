"""Compose pages of digits, with a box around each, from a batch of single digits."""

import math

import torch
import torch.nn.functional as F

from training.recipe import NONE

Targets = list[dict[str, torch.Tensor]]  # for each image, {"boxes": (M, 4), "labels": (M,)}

SIDES = 12, 64  # pixels of a digit's longer side, drawn evenly on a logarithmic scale
OVERLAP = 0.1  # largest share of the smaller box that another box may cover
TRIES = 12  # random places tried for a digit; if none is free, the digit is left out
INK = 0.35  # share of full ink at which a box ends
GRAIN = 0.15  # a pixel counts as grain if the mean of the 3x3 pixels around it is below this share of full ink


def ink_boxes(digits: torch.Tensor) -> torch.Tensor:
    """Tight boxes (N, 4), (x_min, y_min, x_max, y_max) in pixels, around the ink of digits (N, 1, H, W) in 0 to 1.

    An edge lies where the ink, interpolated between two pixels, passes INK. It is not rounded to whole pixels, so it
    stays exact when the digit is drawn at another size. The box of a digit without ink is the whole image. Lone bright
    pixels do not count as ink.
    """
    ink = (digits * (F.avg_pool2d(digits, 3, stride=1, padding=1) > GRAIN))[:, 0]
    ink = ink + ~(ink > INK).flatten(1).any(1)[:, None, None]
    columns, rows = ink.amax(1), ink.amax(2)
    low = torch.stack([_crossing(columns), _crossing(rows)], 1)
    high = torch.stack([columns.shape[1] - _crossing(columns.flip(1)), rows.shape[1] - _crossing(rows.flip(1))], 1)
    return torch.cat([low, high], 1)


def _crossing(profile: torch.Tensor) -> torch.Tensor:
    """Where each row of `profile` (N, L), with pixel centres at .5, 1.5, ..., first rises above INK: (N,)."""
    first = (profile > INK).float().argmax(1, keepdim=True)
    above, before = profile.gather(1, first), F.pad(profile, (1, 0)).gather(1, first)
    return (first - 0.5 + (INK - before) / (above - before))[:, 0].clamp(min=0)


def compose(digits: torch.Tensor, labels: torch.Tensor, size: int, per_canvas: int) -> tuple[torch.Tensor, Targets]:
    """Place digits on square canvases, at random places and sizes within SIDES, with little overlap.

    digits: (N, 1, H, W) float32, 0 to 1, N a multiple of `per_canvas`; labels: (N,), NONE for a non-digit, which is
    drawn without a box; size: pixels a side. A digit that finds no free place is left out. Returns canvases
    (N / per_canvas, 1, size, size) and for each canvas {"boxes": (M, 4), "labels": (M,)}.
    """
    count = len(digits) // per_canvas
    source = ink_boxes(digits)  # (N, 4)
    extent = source[:, 2:] - source[:, :2]
    longest = math.log(min(SIDES[1], 0.9 * size) / SIDES[0])
    side = SIDES[0] * torch.exp(longest * torch.rand(len(digits), device=digits.device))
    scale = side / extent.amax(1)
    extent = (extent * scale[:, None]).view(count, per_canvas, 2)
    boxes, placed = _place(extent, size)
    canvases = _draw(digits, source, scale, boxes.flatten(0, 1), placed.flatten(), size)
    canvases = canvases.view(count, per_canvas, size, size).amax(1, keepdim=True)
    labels = labels.view(count, per_canvas)
    named = placed & (labels != NONE)
    targets = [{"boxes": boxes[i][named[i]].clamp(0, size), "labels": labels[i][named[i]]} for i in range(count)]
    return canvases, targets


def _place(extent: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (C, P, 4) for extents (C, P, 2), and which of them (C, P) found a place; the first always does."""
    count, per_canvas, _ = extent.shape
    boxes = extent.new_zeros(count, per_canvas, 4)
    placed = torch.zeros(count, per_canvas, dtype=torch.bool, device=extent.device)
    canvas = torch.arange(count, device=extent.device)
    for slot in range(per_canvas):
        corner = torch.rand(count, TRIES, 2, device=extent.device) * (size - extent[:, slot, None])
        tried = torch.cat([corner, corner + extent[:, slot, None]], 2)  # (C, TRIES, 4)
        low = torch.maximum(tried[:, :, None, :2], boxes[:, None, :slot, :2])
        high = torch.minimum(tried[:, :, None, 2:], boxes[:, None, :slot, 2:])
        shared = (high - low).clamp(min=0).prod(3)  # (C, TRIES, slot) pixels
        areas = extent.prod(2)
        smaller = torch.minimum(areas[:, None, slot, None], areas[:, None, :slot])
        free = ~((shared > OVERLAP * smaller) & placed[:, None, :slot]).any(2)  # (C, TRIES)
        boxes[:, slot] = tried[canvas, free.float().argmax(1)]
        placed[:, slot] = free.any(1)
    return boxes, placed


def _draw(
    digits: torch.Tensor,
    source: torch.Tensor,
    scale: torch.Tensor,
    boxes: torch.Tensor,
    placed: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """Each digit alone on its canvas (N, 1, size, size), resampled from its place in `digits` to its box."""
    height, width = digits.shape[-2:]
    pixels = torch.arange(size, device=digits.device) + 0.5
    x = (pixels - boxes[:, :1]) / scale[:, None] + source[:, :1]  # (N, size), in source pixels
    y = (pixels - boxes[:, 1:2]) / scale[:, None] + source[:, 1:2]
    x, y = 2 * x / width - 1, 2 * y / height - 1
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], 3)
    return F.grid_sample(digits, grid, align_corners=False) * placed.view(-1, 1, 1, 1)
