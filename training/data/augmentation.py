"""What is done to a whole batch at once, on the device that holds it.

`spoil` makes non-digits of some of its digits: several in one frame. `move` changes the writing and `degrade` the
picture. The last two are separate functions because a detector places the moved digits on a page before it degrades the
page. A recipe's `Augment` sets the amounts and probabilities. Each degradation improves the accuracy on pictures
degraded in that way (docs/training.md); none improves it on clean ones.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from training.recipe import NONE, Augment

FIELD = 4  # knots a side of a smooth random field


def move(images: torch.Tensor, knobs: Augment) -> torch.Tensor:
    """Bend digits and change the pen.

    images: (N, 1, 28, 28) float32, 0 background to 1 ink. Returns images of the same shape and range.
    """
    return _apply((stroke, outline), _warp(images, knobs), knobs)


def degrade(images: torch.Tensor, knobs: Augment) -> torch.Tensor:
    """Degrade pictures (N, 1, H, W) float32, 0 background to 1 ink, as light, paper and cameras do."""
    return _apply((smear, jitter, specks, lines, fog, stripe), images, knobs)


def _apply(
    steps: tuple[Callable[[torch.Tensor], torch.Tensor], ...], images: torch.Tensor, knobs: Augment
) -> torch.Tensor:
    """Apply each step to a random share of the batch; the field of `knobs` with the step's name is that share."""
    for step in steps:
        probability: float | None = getattr(knobs, step.__name__)
        if probability is None:
            continue
        chosen = (torch.rand(len(images), device=images.device) < probability).nonzero()[:, 0]
        if len(chosen):
            images = images.index_copy(0, chosen, step(images[chosen]))
    return images.clamp(0, 1)


def uniform(images: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number for each of N images, (N,) float32, evenly spread from low to high, on their device."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)


def _amount(images: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number for each image, (N, 1, 1, 1), evenly spread from low to high."""
    return uniform(images, low, high).view(-1, 1, 1, 1)


def _happens(images: torch.Tensor, probability: float) -> torch.Tensor:
    """One yes or no for each image, (N, 1, 1, 1)."""
    return _amount(images, 0, 1) < probability


def _places(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of each pixel, (1, 1, H, 1) and (1, 1, 1, W)."""
    height, width = images.shape[-2:]
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    return rows.view(1, 1, -1, 1), columns.view(1, 1, 1, -1)


def _warp(images: torch.Tensor, knobs: Augment) -> torch.Tensor:
    """Rotate, shear, scale, shift and bend the images, all in one resampling."""
    n, _, height, width = images.shape

    def spread(amount: float) -> torch.Tensor:
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
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)  # (N, H, W, 2)
    knots = torch.randn(n, 2, FIELD, FIELD, device=images.device) * (2 * knobs.elastic / width)
    bend = F.interpolate(knots, (height, width), mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)


def _thicker(images: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(images, 3, stride=1, padding=1)


def _thinner(images: torch.Tensor) -> torch.Tensor:
    return -_thicker(-images)


def stroke(images: torch.Tensor) -> torch.Tensor:
    """Make the pen thicker or thinner: move each pixel towards the maximum of its neighbours or their minimum."""
    amount = _amount(images, -0.6, 0.9)  # thinning stops earlier, or hairlines would vanish
    change = torch.where(amount > 0, _thicker(images) - images, images - _thinner(images))
    return images + amount * change


def outline(images: torch.Tensor) -> torch.Tensor:
    """Keep only the edges of the strokes."""
    return _thicker(images) - _thinner(images)


def smear(images: torch.Tensor) -> torch.Tensor:
    """Blur along a line of random direction, like the picture of a moving camera."""
    reach = 4
    y, x = torch.meshgrid(*2 * [torch.arange(-reach, reach + 1, device=images.device)], indexing="ij")
    angle, length = _amount(images, 0, math.pi), _amount(images, 1, reach)
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()  # (N, 1, 9, 9)
    kernels = (1 - across.abs()).clamp(min=0) * (along.abs() <= length)
    kernels = kernels / kernels.sum((2, 3), keepdim=True)
    return F.conv2d(images.transpose(0, 1), kernels, padding=reach, groups=len(images)).transpose(0, 1)


def jitter(images: torch.Tensor) -> torch.Tensor:
    """Take each pixel from a random place nearby, like a picture behind frosted glass."""
    n, _, height, width = images.shape
    away = torch.randn(n, height, width, 2, device=images.device) * _amount(images, 0.4, 1.2)  # pixels
    still = torch.eye(2, 3, device=images.device).expand(n, -1, -1)
    grid = F.affine_grid(still, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid + away * (2 / width), align_corners=False)


def specks(images: torch.Tensor) -> torch.Tensor:
    """Add spots where a smooth random field is high: spots of ink in two of three images, of paper in the others."""
    field = 3 * F.avg_pool2d(torch.randn_like(images), 3, stride=1, padding=1)  # deviation 1
    colour = _happens(images, 2 / 3) * _amount(images, 0.4, 1.0)
    return torch.where(field > _amount(images, 1.1, 2.2), colour, images)


def lines(images: torch.Tensor) -> torch.Tensor:
    """Draw one to three random strokes across each image."""
    for _ in range(int(torch.randint(1, 4, ()))):
        images = torch.maximum(images, _line(images))
    return images


def _line(images: torch.Tensor) -> torch.Tensor:
    """One stroke for each image, through a random point: straight or zigzag, continuous or dotted."""
    height, width = images.shape[-2:]
    y, x = _places(images)
    y, x = y - height * _amount(images, 0.05, 0.95), x - width * _amount(images, 0.05, 0.95)
    angle = _amount(images, 0, math.pi)
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    phase = along / _amount(images, 3, 9) % 1
    zigzag = (4 * (phase - 0.5).abs() - 1) * _amount(images, 0, 3) * _happens(images, 0.5)
    drawn = (_amount(images, 0.6, 1.5) - (across - zigzag).abs()).clamp(0, 1)
    return drawn * _amount(images, 0.4, 1.0) * (phase < _amount(images, 0.3, 1.7))


def fog(images: torch.Tensor) -> torch.Tensor:
    """Make the paper grey, and reduce the contrast of the ink in proportion."""
    clouds = torch.rand(len(images), 1, FIELD, FIELD, device=images.device)
    clouds = F.interpolate(clouds, images.shape[-2:], mode="bicubic", align_corners=True).clamp(0, 1)
    paper = torch.where(_happens(images, 0.3), 1.0, clouds) * _amount(images, 0.1, 0.65)
    return paper + images * (1 - paper)


def stripe(images: torch.Tensor) -> torch.Tensor:
    """Invert a band across the whole picture."""
    rows, columns = _places(images)
    start, width = _amount(images, -0.25, 0.75), _amount(images, 0.2, 0.5)  # shares of a side
    place = torch.where(_happens(images, 0.7), columns / images.shape[3], rows / images.shape[2])
    return torch.where((place >= start) & (place < start + width), 1 - images, images)


def spoil(images: torch.Tensor, labels: torch.Tensor, share: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace the first `share` of a batch by several digits in one frame; None changes nothing.

    This is outlier exposure (Hendrycks et al., https://arxiv.org/abs/1812.04606): for a non-digit, a classifier learns
    to give all ten digits the same probability (`training.recipe.cross_entropy`), and a detector to find nothing.

    images: (N, 1, 28, 28) float32, 0 background to 1 ink, in random order; labels: (N,). Returns both in the same
    shapes; the label of a replaced image is NONE.
    """
    count = round((share or 0.0) * len(images))
    if count == 0:
        return images, labels
    return torch.cat([several(images[:count]), images[count:]]), labels.index_fill(
        0, torch.arange(count, device=labels.device), NONE
    )


def several(images: torch.Tensor) -> torch.Tensor:
    """Two or three digits side by side, or two on top of each other, for each of images (N, 1, 28, 28)."""
    n = len(images)
    chance = uniform(images, 0, 1)
    three, over = chance < 0.3, chance > 0.75
    size = torch.where(three, uniform(images, 0.4, 0.5), uniform(images, 0.55, 0.75))
    size = torch.where(over, uniform(images, 0.8, 1.0), size)
    apart = torch.where(three, uniform(images, 0.5, 0.62), uniform(images, 0.28, 0.45))
    apart = torch.where(over, uniform(images, 0.1, 0.3), apart)  # the frame runs from -1 to 1
    others = torch.randint(n, (2, n), device=images.device)
    made = torch.maximum(_placed(images, -apart, size), _placed(images[others[0]], apart, size))
    middle = _placed(images[others[1]], torch.zeros_like(apart), size)
    return torch.where(three.view(-1, 1, 1, 1), torch.maximum(made, middle), made)


def _placed(images: torch.Tensor, x: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Images scaled by `size` (N,), moved sideways by `x` (N,) and a little up or down."""
    zero = torch.zeros_like(x)
    rows = [torch.stack([1 / size, zero, -x / size], 1), torch.stack([zero, 1 / size, uniform(images, -0.1, 0.1)], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
