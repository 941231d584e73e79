"""Ways of writing that MNIST hardly holds: a 1 with an upstroke and a foot, a 7 with a bar, a 0 struck through.

https://en.wikipedia.org/wiki/Regional_handwriting_variation. The strokes are added with the digit's own pen.
"""

import torch

INK = 0.4  # of full ink: what counts as written
STICK = 3  # pixels to either side of a plain 1: one with ink further out has its upstroke already


def restyle(images, labels, share):
    """Write a share of the ones, half as many of the sevens and a tenth as many of the zeros as other hands do.

    images: (N, 1, H, W) float32, 0 background to 1 ink; labels: (N,). Returns images of the same shape.
    """
    images = images.clone()
    for digit, write, rarity in ((1, _one, 1.0), (7, _seven, 0.5), (0, _zero, 0.1)):
        chosen = (labels == digit) & (torch.rand(labels.shape, device=labels.device) < share * rarity)
        if chosen.any():
            images[chosen] = write(images[chosen])
    return images


def _one(images):
    """An upstroke to 93 % of them, a foot to 45 %; those that have one are left alone."""
    top, bottom, height = _stem(images)
    down = torch.nn.functional.normalize(bottom - top)
    angle = _uniform(images, 0.4, 0.9)  # radians between stem and upstroke, on its left; at more than that it is a 7
    cosine, sine = angle.cos(), angle.sin()
    aside = torch.stack([down[:, 0] * cosine - down[:, 1] * sine, down[:, 0] * sine + down[:, 1] * cosine], 1)
    upstroke = top + aside * (height * _uniform(images, 0.2, 0.45))[:, None]
    foot = torch.stack([height * _uniform(images, 0.15, 0.33), height * _uniform(images, -0.04, 0.04)], 1)
    chance = _uniform(images, 0, 1).view(-1, 1, 1, 1)
    drawn = torch.where(chance < 0.93, _draw(images, top, upstroke), images)
    drawn = torch.where(chance > 0.55, torch.maximum(drawn, _draw(images, bottom - foot, bottom + foot)), drawn)
    y, x = _places(images)
    aside = ((x - top[:, :1, None]) * down[:, 1:, None] - (y - top[:, 1:, None]) * down[:, :1, None]).abs()
    plain = ~((aside > STICK) & (images[:, 0] > INK)).flatten(1).any(1)
    return torch.where(plain.view(-1, 1, 1, 1), drawn, images)


def _seven(images):
    """A bar through the stem, a little below half height."""
    top, _, height = _stem(images)
    row = (top[:, 1] + height * _uniform(images, 0.45, 0.62)).long()
    middle = _middle(images, row.clamp(max=images.shape[2] - 1))
    half = torch.stack([height * _uniform(images, 0.15, 0.3), height * _uniform(images, -0.08, 0.03)], 1)
    return _draw(images, middle - half, middle + half)


def _zero(images):
    """A stroke from the lower left to the upper right of the ink."""
    top, bottom, _ = _stem(images)
    columns = (images[:, 0] > INK).any(1).float()
    left, right = columns.argmax(1), columns.shape[1] - columns.flip(1).argmax(1)
    return _draw(images, torch.stack([left, bottom[:, 1] - 1], 1), torch.stack([right, top[:, 1] + 1], 1))


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


def _draw(images, start, end):
    """Add a straight stroke from start to end, (N, 2) each, with the pen that a digit of this much ink has."""
    _, _, height = _stem(images)
    radius = 0.5 * (images > INK).flatten(1).sum(1) / height
    radius = radius.clamp(0.7, 1.8).view(-1, 1, 1)  # pixels
    y, x = _places(images)
    x, y = x - start[:, 0].view(-1, 1, 1), y - start[:, 1].view(-1, 1, 1)
    dx, dy = (end - start).view(-1, 2, 1, 1).unbind(1)
    along = ((x * dx + y * dy) / (dx**2 + dy**2).clamp(min=1e-3)).clamp(0, 1)
    distance = torch.hypot(x - along * dx, y - along * dy)
    return torch.maximum(images, (radius + 0.5 - distance).clamp(0, 1)[:, None])


def _places(images):
    """y and x of the middle of each pixel, (1, H, 1) and (1, 1, W)."""
    height, width = images.shape[-2:]
    rows, columns = torch.arange(height, device=images.device), torch.arange(width, device=images.device)
    return rows.view(1, -1, 1) + 0.5, columns.view(1, 1, -1) + 0.5


def _uniform(images, low, high):
    """One number an image, (N,)."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)
