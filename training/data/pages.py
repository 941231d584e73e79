"""Compose pages of digits, with a box around each, from a batch of single digits."""

import math

import torch
import torch.nn.functional as F

from training.data.nondigits import NONE

SIDES = 12, 64  # pixels of a digit's longer side, drawn evenly on a logarithmic scale
OVERLAP = 0.1  # largest share of the smaller box that another box may cover
TRIES = 12  # random places tried for a digit; if none is free, the digit is left out
ROW_HEIGHTS = 14, 40  # pixels of the digits of a row, drawn evenly on a logarithmic scale
ROW = 4  # digits of a row, at most
ROW_HEIGHT = 0.8, 1.05  # of that: how high each digit of a row is
ROW_LONGEST = 1.5  # of that: the width of a dash in a row, at most
ROW_GAP = -0.2, 0.15  # of that, between two boxes: mostly they touch
MOST_SHARED = 0.35  # of the narrower of two neighbours in a row: what the other may cover
ROW_SLOPE, ROW_JITTER = 0.05, 0.06  # standard deviations: of a row's slope; of a digit's middle, in row heights
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


def compose(
    digits: torch.Tensor, labels: torch.Tensor, size: int, per_canvas: int, in_rows: bool = False
) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Place digits on square canvases: at random places and sizes within SIDES, or side by side.

    digits: (N, 1, H, W) float32, 0 to 1, N a multiple of `per_canvas`; labels: (N,), NONE for a non-digit, which is
    drawn without a box; size: pixels a side. At random places there is little overlap, and a digit that finds no free
    place is left out; in a row digits touch, as those of a number often do. Returns canvases
    (N / per_canvas, 1, size, size) and for each canvas {"boxes": (M, 4), "labels": (M,)}.
    """
    count = len(digits) // per_canvas
    source = ink_boxes(digits)  # (N, 4)
    extent = (source[:, 2:] - source[:, :2]).view(count, per_canvas, 2)
    scale = _row_scale(extent, size) if in_rows else _scale(extent, size)  # (C, P)
    extent = extent * scale[:, :, None]
    boxes, placed = (_place_in_rows if in_rows else _place)(extent, size)
    canvases = _draw(digits, source, scale.flatten(), boxes.flatten(0, 1), placed.flatten(), size)
    canvases = canvases.view(count, per_canvas, size, size).amax(1, keepdim=True)
    labels = labels.view(count, per_canvas)
    named = placed & (labels != NONE)
    targets = [{"boxes": boxes[i][named[i]].clamp(0, size), "labels": labels[i][named[i]]} for i in range(count)]
    return canvases, targets


def _scale(extent: torch.Tensor, size: int) -> torch.Tensor:
    """How much larger (C, P) digits of extents (C, P, 2) are drawn: each on its own."""
    longest = math.log(min(SIDES[1], 0.9 * size) / SIDES[0])
    return SIDES[0] * torch.exp(longest * torch.rand(extent.shape[:2], device=extent.device)) / extent.amax(2)


def _row_scale(extent: torch.Tensor, size: int) -> torch.Tensor:
    """How much larger (C, P) digits of extents (C, P, 2) are drawn: those of a row about as high, and it fits."""
    rows = _rows(extent)  # (R, M, 2)
    low, high = (math.log(height) for height in ROW_HEIGHTS)
    height = torch.exp(low + (high - low) * torch.rand(len(rows), 1, device=extent.device))
    own = height * (ROW_HEIGHT[0] + (ROW_HEIGHT[1] - ROW_HEIGHT[0]) * torch.rand(rows.shape[:2], device=extent.device))
    scale = torch.minimum(own / rows[:, :, 1], ROW_LONGEST * own / rows[:, :, 0])
    width = (rows[:, :, 0] * scale).sum(1, keepdim=True) + ROW_GAP[1] * (rows.shape[1] - 1) * height
    return (scale * (0.95 * size / width).clamp(max=1)).view(extent.shape[:2])


def _rows(extent: torch.Tensor) -> torch.Tensor:
    """Extents (C, P, 2), P up to ROW or a multiple of it, row by row: (R, M, 2)."""
    return extent.view(-1, min(ROW, extent.shape[1]), 2)


def _place_in_rows(extent: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (C, P, 4) for extents (C, P, 2), in rows one below the other; and (C, P) that all found a place."""
    rows = _rows(extent)
    count, many, _ = rows.shape
    each = extent.shape[1] // many  # rows of a canvas
    band = size / each  # pixels of its height that a row has
    width, height = rows[:, :, 0], rows.amax((1, 2))[:, None]

    def even(*shape: int) -> torch.Tensor:
        return torch.rand(shape, device=extent.device)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=extent.device)

    spacing = ROW_GAP[0] + (ROW_GAP[1] - ROW_GAP[0]) * (even(count, 1) + even(count, many - 1)) / 2
    gap = torch.maximum(spacing * height, -MOST_SHARED * torch.minimum(width[:, 1:], width[:, :-1]))
    left = F.pad((width[:, :-1] + gap).cumsum(1), (1, 0))
    left = left + even(count, 1) * (size - left[:, -1:] - width[:, -1:]).clamp(min=0)
    middle = ROW_SLOPE * normal(count, 1) * (left - size / 2) + ROW_JITTER * normal(count, many) * height
    middle = middle + height / 2 + even(count, 1) * (band - height)
    top = torch.minimum((middle - rows[:, :, 1] / 2).clamp(min=0), band - rows[:, :, 1])
    top = top + band * (torch.arange(count, device=extent.device) % each)[:, None]
    low = torch.stack([left, top], 2)
    boxes = torch.cat([low, low + rows], 2).view(-1, each * many, 4)
    return boxes, torch.ones_like(boxes[:, :, 0], dtype=torch.bool)


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
