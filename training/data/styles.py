"""Ways of writing that MNIST hardly holds: 1 with an upstroke, 7 with a bar, 4 in one stroke, 9 with a small loop, ...

https://en.wikipedia.org/wiki/Regional_handwriting_variation. The strokes are added with the digit's own pen.
"""

import math
from itertools import pairwise

import torch

INK = 0.4  # of full ink: what counts as written
CHORDS = 12  # of a loop
STICK = 4  # pixels to either side of a plain 1: one with ink further out has its upstroke already


def restyle(images, labels, share):
    """Write a share of the ones as other hands do, and a part of that share of some other digits.

    They are framed again, the centre of the ink in the middle as in MNIST: an upload is, and where a stroke lies tells.
    images: (N, 1, H, W) float32, 0 background to 1 ink; labels: (N,). Returns images of the same shape.
    """
    images = images.clone()
    for digit, write, part in WAYS:
        chosen = (labels == digit) & (torch.rand(labels.shape, device=labels.device) < share * part)
        if chosen.any():
            images[chosen] = centred(write(images[chosen]))
    return images


def centred(images):
    """Images (N, 1, H, W) with the centre of their ink in the middle: moved by whole pixels, which blurs nothing."""
    y, x = _places(images)
    ink = images[:, 0]
    mass = ink.sum((1, 2)).clamp(min=1e-3)
    rows, columns = images.shape[-2:]
    away = torch.stack([(ink * x).sum((1, 2)) / mass - columns / 2, (ink * y).sum((1, 2)) / mass - rows / 2], 1)
    matrix = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    matrix[:, :, 2] = 2 * away.round() / torch.tensor([columns, rows], device=images.device)
    grid = torch.nn.functional.affine_grid(matrix, images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)


def _one(images):
    """More or less upright, an upstroke to 93 % of them, a foot to 45 %; those that have one are left alone."""
    slant = _uniform(images, -0.15, 0.45)  # columns to the right a row up; MNIST's median is .38
    upright, pen = _slanted(images, slant), _pen(images)
    top, bottom, height = _stem(upright)
    fall = _uniform(images, 0.7, 1.15)  # radians that the upstroke's left end hangs; at less it is a 7's bar
    fall = torch.minimum(fall, math.pi / 2 - slant.atan() - 0.35)  # clear of the stem
    aside = torch.stack([-fall.cos(), fall.sin()], 1)
    upstroke = top + aside * (height * _uniform(images, 0.2, 0.65))[:, None]
    foot = torch.stack([height * _uniform(images, 0.15, 0.33), height * _uniform(images, -0.04, 0.04)], 1)
    chance = _uniform(images, 0, 1).view(-1, 1, 1, 1)
    drawn = torch.where(chance < 0.93, _draw(upright, top, upstroke, pen), upright)
    drawn = torch.where(chance > 0.55, torch.maximum(drawn, _draw(upright, bottom - foot, bottom + foot, pen)), drawn)
    y, x = _places(images)
    down = torch.nn.functional.normalize(bottom - top)
    aside = ((x - top[:, :1, None]) * down[:, 1:, None] - (y - top[:, 1:, None]) * down[:, :1, None]).abs()
    plain = ~((aside > STICK) & (upright[:, 0] > INK)).flatten(1).any(1)
    return torch.where(plain.view(-1, 1, 1, 1), drawn, images)


def _slanted(images, slant):
    """With a stem of this slant (N,): rows move sideways, the middle of the stem stays."""
    top, bottom, height = _stem(images)
    change = (top - bottom)[:, 0] / height.clamp(min=2) - slant
    rows, columns = images.shape[-2:]
    matrix = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    matrix[:, 0, 1] = -change * rows / columns  # the grid runs from -1 to 1
    matrix[:, 0, 2] = change * ((top + bottom)[:, 1] - rows) / columns
    grid = torch.nn.functional.affine_grid(matrix, images.shape, align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False)


def _seven(images):
    """A bar through the stem, a little below half height."""
    top, _, height = _stem(images)
    row = (top[:, 1] + height * _uniform(images, 0.45, 0.62)).long()
    middle = _middle(images, row.clamp(max=images.shape[2] - 1))
    half = torch.stack([height * _uniform(images, 0.15, 0.3), height * _uniform(images, -0.08, 0.03)], 1)
    return _draw(images, middle - half, middle + half, _pen(images))


def _flag(images):
    """A 7 written anew: a bar that hangs, though less than the upstroke of a 1, and a stem from its right end."""
    _, bottom, height = _stem(images)
    corner = bottom + height[:, None] * torch.stack([_uniform(images, -0.2, 0.4), -torch.ones_like(height)], 1)
    fall = _uniform(images, 0.1, 0.4)  # radians
    bar = (height * _uniform(images, 0.42, 0.68))[:, None] * torch.stack([-fall.cos(), fall.sin()], 1)
    pen = _pen(images)
    return _draw(_draw(torch.zeros_like(images), corner, bottom, pen), corner + bar, corner, pen)


def _zero(images):
    """A stroke from the lower left to the upper right of the ink."""
    top, bottom, _ = _stem(images)
    columns = (images[:, 0] > INK).any(1).float()
    left, right = columns.argmax(1), columns.shape[1] - columns.flip(1).argmax(1)
    return _draw(images, torch.stack([left, bottom[:, 1] - 1], 1), torch.stack([right, top[:, 1] + 1], 1), _pen(images))


def _four(images):
    """Written anew in one stroke: down to the left, across, and down from where that ends."""
    top, bottom, height = _stem(images)
    width = height * _uniform(images, 0.45, 0.75)
    left, low = (images.shape[3] - width) / 2, top[:, 1] + height * _uniform(images, 0.45, 0.65)
    right, high = left + width, low - height * _uniform(images, -0.05, 0.15)
    corners = [
        torch.stack([left + width * _uniform(images, 0.4, 0.8), top[:, 1]], 1),
        torch.stack([left, low], 1),
        torch.stack([right, high], 1),
        torch.stack([right - width * _uniform(images, -0.05, 0.25), bottom[:, 1]], 1),
    ]
    drawn, pen = torch.zeros_like(images), _pen(images)
    for start, end in pairwise(corners):
        drawn = _draw(drawn, start, end, pen)
    return drawn


def _nine(images):
    """Written anew: a straight stem, a small loop to the left of its upper end, 40 % with a tail like a g's."""
    _, bottom, height = _stem(images)
    high = torch.stack([_uniform(images, -0.1, 0.35), -torch.ones_like(height)], 1)
    top, blank = bottom + high * height[:, None], torch.zeros_like(images)
    radius = height[:, None] * torch.stack([_uniform(images, 0.08, 0.22), _uniform(images, 0.07, 0.2)], 1)
    middle = top + radius * torch.tensor([-1.0, 0.5], device=images.device)
    loop = middle + radius * _arc(torch.full_like(height, 2 * math.pi))
    hook = height[:, None] * torch.stack([_uniform(images, 0.1, 0.25), _uniform(images, 0.05, 0.2)], 1)
    hook = hook * (_uniform(images, 0, 1) < 0.4)[:, None]
    end = bottom - hook * torch.tensor([0.0, 1.0], device=images.device)  # of the stem, where the tail begins
    tail = end - hook * torch.tensor([1.0, 0.0], device=images.device) + hook * _arc(_uniform(images, 2.6, 3.8))
    pen = _pen(images)
    drawn = _draw(blank, top, end, pen)
    for start, end in (*pairwise(loop), *pairwise(tail)):
        drawn = _draw(drawn, start, end, pen)
    return drawn


def _arc(turn):
    """Points (CHORDS + 1, N, 2) of unit circles, from the right clockwise through `turn` (N,) radians."""
    angles = torch.linspace(0, 1, CHORDS + 1, device=turn.device)[:, None] * turn
    return torch.stack([angles.cos(), angles.sin()], 2)


def _stem(images):
    """Where the ink begins above and ends below, each (N, 2) as (x, y) in pixels, and the height (N,) of it."""
    rows = (images[:, 0] > INK).any(2).float()
    first, last = rows.argmax(1), rows.shape[1] - 1 - rows.flip(1).argmax(1)
    return _middle(images, first), _middle(images, last), (last - first + 1).float()


def _middle(images, row):
    """The centre (N, 2) of the ink in one row (N,) of each image."""
    line = images[torch.arange(len(images), device=images.device), 0, row]
    x = torch.arange(line.shape[1], device=images.device) + 0.5
    return torch.stack([(line * x).sum(1) / line.sum(1).clamp(min=1e-3), row + 0.5], 1)


def _pen(images):
    """Half the width of the strokes (N,), in pixels: their area by their edges' length."""
    right, down = images[..., 1:, :-1] - images[..., :-1, :-1], images[..., :-1, 1:] - images[..., :-1, :-1]
    edges = torch.hypot(right, down).sum((1, 2, 3))
    return (images.sum((1, 2, 3)) / edges.clamp(min=1e-3)).clamp(0.7, 1.8)


def _draw(images, start, end, pen):
    """Add a straight stroke from start to end, (N, 2) each, of a pen of radius `pen` (N,)."""
    y, x = _places(images)
    x, y = x - start[:, 0].view(-1, 1, 1), y - start[:, 1].view(-1, 1, 1)
    dx, dy = (end - start).view(-1, 2, 1, 1).unbind(1)
    along = ((x * dx + y * dy) / (dx**2 + dy**2).clamp(min=1e-3)).clamp(0, 1)
    distance = torch.hypot(x - along * dx, y - along * dy)
    return torch.maximum(images, (pen.view(-1, 1, 1) + 0.5 - distance).clamp(0, 1)[:, None])


def _places(images):
    """y and x of the middle of each pixel, (1, H, 1) and (1, 1, W)."""
    height, width = images.shape[-2:]
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    return rows.view(1, -1, 1) + 0.5, columns.view(1, 1, -1) + 0.5


def _uniform(images, low, high):
    """One number an image, (N,)."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)


WAYS = (
    (1, _one, 1.0),
    (7, _flag, 0.3),
    (7, _seven, 0.5),
    (9, _nine, 0.3),
    (4, _four, 0.2),
    (0, _zero, 0.1),
)  # digit, how, part of share
