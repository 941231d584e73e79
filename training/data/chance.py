"""Random numbers for a batch, drawn on the device that holds it."""

import torch


def uniform(images: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """One number for each of N images, (N,) float32, evenly spread from low to high."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)
