"""Augmentation of a whole batch at once, on the device that holds it: no image is touched on its own."""

import math

import torch
import torch.nn.functional as F

FIELD = 4  # knots a side of the elastic displacement field


def augment(images, knobs):
    """Move, bend and degrade digits.

    images: (N, 1, H, W) float32, 0 background to 1 ink; knobs: a recipe's `Augment`. Returns the same shape and range.
    """
    images = _warp(images, knobs)
    images = _sometimes(_stroke, images, knobs.stroke)
    images = _sometimes(_blur, images, knobs.blur)
    images = _sometimes(_contrast, images, knobs.contrast)
    images = _sometimes(_noise, images, knobs.noise)
    images = _sometimes(_erase, images, knobs.erase)
    return images.clamp(0, 1)


def _sometimes(step, images, probability):
    """Apply a step to a random share of the batch."""
    if probability is None:
        return images
    chosen = (torch.rand(len(images), device=images.device) < probability).nonzero()[:, 0]
    return images.index_copy(0, chosen, step(images[chosen])) if len(chosen) else images


def _uniform(images, low, high):
    """One number an image, (N, 1, 1, 1)."""
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)


def _warp(images, knobs):
    """One resampling for rotation, shear, scale, shift and elastic displacement together."""
    n, _, height, width = images.shape

    def spread(amount):
        return torch.empty(n, device=images.device).uniform_(-amount, amount)

    angle = spread(math.radians(knobs.rotate))
    x_scale, y_scale = spread(knobs.scale).exp(), spread(knobs.scale).exp()
    matrix = torch.empty(n, 2, 3, device=images.device)
    matrix[:, 0, 0] = angle.cos() * x_scale
    matrix[:, 0, 1] = -angle.sin() * x_scale + spread(knobs.shear)
    matrix[:, 0, 2] = spread(2 * knobs.shift / width)  # the grid runs from -1 to 1
    matrix[:, 1, 0] = angle.sin() * y_scale
    matrix[:, 1, 1] = angle.cos() * y_scale
    matrix[:, 1, 2] = spread(2 * knobs.shift / height)
    grid = F.affine_grid(matrix, images.shape, align_corners=False)  # (N, H, W, 2)
    knots = torch.randn(n, 2, FIELD, FIELD, device=images.device) * (2 * knobs.elastic / width)
    bend = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def _stroke(images):
    """Thicker (maximum of the neighbours) or thinner (minimum), to a random degree."""
    thick = F.max_pool2d(images, 3, stride=1, padding=1)
    thin = -F.max_pool2d(-images, 3, stride=1, padding=1)
    amount = _uniform(images, -0.6, 0.9)  # the thin side less far: a hair line would vanish
    return images + torch.where(amount > 0, amount * (thick - images), -amount * (thin - images))


def _blur(images):
    """Down to a coarser grid and back, half to three quarters of the pixels a side."""
    size = images.shape[-2:]
    share = 0.5 + 0.25 * torch.rand(()).item()
    coarse = F.interpolate(images, scale_factor=share, mode="bilinear", antialias=True)
    return F.interpolate(coarse, size, mode="bilinear")


def _contrast(images):
    return images.clamp(0, 1) ** _uniform(images, -0.7, 0.7).exp() * _uniform(images, 0.55, 1.0)


def _noise(images):
    return images + torch.randn_like(images) * _uniform(images, 0.0, 0.15)


def _erase(images):
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1)
    top, left = _uniform(images, 0, height - 4), _uniform(images, 0, width - 4)
    tall, wide = _uniform(images, 2, 8), _uniform(images, 2, 8)
    inside = (rows >= top) & (rows < top + tall) & (columns >= left) & (columns < left + wide)
    return images.masked_fill(inside, 0.0)
