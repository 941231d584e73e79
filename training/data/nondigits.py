"""What is no digit: its label, its loss, and the kind that is made of digits.

Outlier exposure (Hendrycks et al., https://arxiv.org/abs/1812.04606): a classifier is asked for an even spread over the
ten digits, a detector for background. Letters, signs and doodles come from people; several digits in one frame are made
here.
"""

import torch
import torch.nn.functional as F

NONE = -1  # the label of an image that is no digit


def spoil(images: torch.Tensor, labels: torch.Tensor, share: float | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Replace the first `share` of a batch by several digits in one frame; None changes nothing.

    images: (N, 1, 28, 28) float32, 0 background to 1 ink, in random order; labels: (N,). Returns both in the same
    shapes, the labels of what was replaced being NONE.
    """
    count = round((share or 0.0) * len(images))
    if count == 0:
        return images, labels
    return torch.cat([several(images[:count]), images[count:]]), labels.index_fill(
        0, torch.arange(count, device=labels.device), NONE
    )


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean over images of a digit's negative log-likelihood, or of a non-digit's mean over all ten digits of it."""
    log_probabilities = logits.float().log_softmax(1)
    of_digit = log_probabilities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return -torch.where(labels == NONE, log_probabilities.mean(1), of_digit).mean()


def several(images: torch.Tensor) -> torch.Tensor:
    """Two digits side by side, or three, or one over another, for each of images (N, 1, 28, 28)."""
    n = len(images)
    chance = _uniform(images, 0, 1)
    three, over = chance < 0.3, chance > 0.75
    size = torch.where(three, _uniform(images, 0.4, 0.5), _uniform(images, 0.55, 0.75))
    size = torch.where(over, _uniform(images, 0.8, 1.0), size)
    apart = torch.where(three, _uniform(images, 0.5, 0.62), _uniform(images, 0.28, 0.45))
    apart = torch.where(over, _uniform(images, 0.1, 0.3), apart)  # the frame runs from -1 to 1
    others = torch.randint(n, (2, n), device=images.device)
    made = torch.maximum(_placed(images, -apart, size), _placed(images[others[0]], apart, size))
    middle = _placed(images[others[1]], torch.zeros_like(apart), size)
    return torch.where(three.view(-1, 1, 1, 1), torch.maximum(made, middle), made)


def _placed(images: torch.Tensor, x: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Images shrunk to `size` and moved to `x`, a little up or down."""
    zero = torch.zeros_like(x)
    rows = [torch.stack([1 / size, zero, -x / size], 1), torch.stack([zero, 1 / size, _uniform(images, -0.1, 0.1)], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _uniform(images: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number an image, (N,)."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)
