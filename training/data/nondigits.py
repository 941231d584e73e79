"""Non-digits that are composed in training: frames that hold several digits.

The method is outlier exposure (Hendrycks et al., https://arxiv.org/abs/1812.04606): for a non-digit, a classifier
learns to give all ten digits the same probability (`training.recipe.cross_entropy`), and a detector to find only
background. Letters, signs and doodles come from data sets; frames with several digits are composed here.
"""

import torch
import torch.nn.functional as F

from training.data.augmentation import uniform
from training.recipe import NONE


def spoil(images: torch.Tensor, labels: torch.Tensor, share: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace the first `share` of a batch by several digits in one frame; None changes nothing.

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
