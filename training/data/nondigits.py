"""What is no digit, made of digits, chance and letters, so that a network learns where its knowledge ends.

Outlier exposure (Hendrycks et al., https://arxiv.org/abs/1812.04606) without a foreign image: a classifier is asked for
an even spread over the ten digits, a detector for background.
"""

import math

import torch
import torch.nn.functional as F

from training.data.letters import LETTERS, letters
from training.data.mnist import SIZE
from training.data.styles import centred

NONE = -1  # the label of an image that is no digit
# Digits that stop being one, and cannot be taken for another, when they are mirrored, turned by a quarter, by a half.
MIRRORED, QUARTER, HALF = (3, 4, 6, 7, 9), (1, 2, 3, 4, 5, 6, 7, 8, 9), (3, 4, 7)
SWAPPED = (2, 3, 4, 5, 6, 7, 9)  # the same for the two halves of their height
STROKES = 4  # of a scribble, at most
POINTS = 48  # along a stroke: so many that the longest is no row of dots


def spoil(images, labels, shares):
    """Replace a part of a batch in random order by what is no digit.

    images: (N, 1, 28, 28) float32, 0 background to 1 ink; labels: (N,); shares: a recipe's `NonDigits`. Returns both in
    the same shapes; some of the images that were to be turned or swapped stay what they are, for they would still be
    digits.
    """
    images, labels, start = images.clone(), labels.clone(), 0
    for kind in (turned, several, swapped, scribble, blotch, letter):
        share = getattr(shares, kind.__name__)
        part = slice(start, start + round((share or 0.0) * len(images)))
        if part.start == part.stop:
            continue
        made, changed = kind(images[part], labels[part])
        images[part] = torch.where(changed.view(-1, 1, 1, 1), made, images[part])
        labels[part] = torch.where(changed, NONE, labels[part])
        start = part.stop
    return images, labels


def cross_entropy(logits, labels):
    """The mean over digits (their negative log-likelihood) and over what is none (the mean over all ten of it)."""
    log_probabilities = logits.float().log_softmax(1)
    of_digit = log_probabilities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return -torch.where(labels == NONE, log_probabilities.mean(1), of_digit).mean()


def turned(images, labels):
    ways = (
        (MIRRORED, images.flip(3)),
        (QUARTER, images.rot90(1, (2, 3))),
        (QUARTER, images.rot90(-1, (2, 3))),
        (HALF, images.rot90(2, (2, 3))),
    )
    way = torch.randint(len(ways), labels.shape, device=labels.device)
    made, changed = images, torch.zeros_like(labels, dtype=torch.bool)
    for number, (digits, result) in enumerate(ways):
        chosen = (way == number) & _among(labels, digits)
        made, changed = torch.where(chosen.view(-1, 1, 1, 1), result, made), changed | chosen
    return made, changed


def several(images, labels):
    """Two digits side by side, or three, or one over another."""
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
    return torch.where(three.view(-1, 1, 1, 1), torch.maximum(made, middle), made), _all(labels)


def _placed(images, x, size):
    """Images shrunk to `size` and moved to `x`, a little up or down."""
    zero = torch.zeros_like(x)
    rows = [torch.stack([1 / size, zero, -x / size], 1), torch.stack([zero, 1 / size, _uniform(images, -0.1, 0.1)], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def swapped(images, labels):
    upper, middle, lower = 4, SIZE // 2, SIZE - 4  # MNIST's ink is 20 pixels high at most
    halves = torch.cat([images[:, :, middle:lower], images[:, :, upper:middle]], 2)
    return F.pad(halves, (0, 0, upper, upper)), _among(labels, SWAPPED)


def scribble(images, labels):
    """Two to four strokes of one pen, each from the end of the last, from anywhere on an earlier one, or apart."""
    n, device = len(images), images.device
    strokes, each = _strokes(n, device), torch.arange(n, device=device)
    fading = torch.linspace(1, 0, POINTS, device=device)
    for k in range(1, STROKES):
        chance = torch.rand(n, 1, device=device)
        on = strokes[each, torch.randint(k, (n,), device=device), torch.randint(POINTS, (n,), device=device)]
        begin = torch.where(chance < 0.4, strokes[:, k - 1, -1], torch.where(chance < 0.85, on, strokes[:, k, 0]))
        strokes[:, k] += (begin - strokes[:, k, 0])[:, None] * fading[:, None]
    drawn = torch.arange(STROKES, device=device) < torch.randint(2, STROKES + 1, (n, 1), device=device)
    return _drawn(torch.where(drawn[:, :, None, None], strokes, strokes[:, :1]).flatten(1, 2)), _all(labels)


def letter(images, labels):
    kinds = torch.randint(len(LETTERS), (len(images),), device=images.device)
    width = _uniform(images, 0.5, 1.2)
    return _drawn(letters(kinds) * torch.stack([width, torch.ones_like(width)], 1)[:, None]), _all(labels)


def _drawn(points):
    """Points (N, P, 2) along the strokes of a pen to images (N, 1, 28, 28), framed as digits are."""
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    points = SIZE / 2 + (points - (low + high) / 2) * (18 / (high - low).amax(2, keepdim=True))
    pixels = torch.cartesian_prod(*2 * [torch.arange(SIZE, device=points.device) + 0.5]).flip(1)  # x, y
    distance = torch.cdist(pixels.expand(len(points), -1, -1), points).amin(2).view(-1, 1, SIZE, SIZE)
    return centred((_uniform(points, 1.3, 2.5).view(-1, 1, 1, 1) - distance).clamp(0, 1))


def _strokes(n, device):
    """Points (n, STROKES, POINTS, 2) of strokes about a unit long: straight, arcs of an ellipse, Bezier curves."""
    t = torch.linspace(0, 1, POINTS, device=device)
    knots = torch.rand(n, STROKES, 4, 2, device=device)
    bernstein = torch.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], 1)
    curves = bernstein @ knots
    first, last = knots[:, :, :1], knots[:, :, 3:]
    start, chance, turn, radius, flat = torch.rand(5, n, STROKES, 1, 1, device=device)
    angle = 2 * math.pi * (start + 2.2 * (turn - 0.5) * t[:, None])  # up to a little more than once around
    arcs = first + (0.15 + 0.35 * radius) * torch.cat([angle.cos(), angle.sin() * (0.5 + flat)], 3)
    return torch.where(chance < 0.35, first + (last - first) * t[:, None], torch.where(chance > 0.75, arcs, curves))


def blotch(images, labels):
    n, device = len(images), images.device
    knots = int(torch.randint(3, 15, ()))
    field = torch.randn(n, 1, knots, knots, device=device)
    field = F.interpolate(field, (SIZE, SIZE), mode="bicubic", align_corners=True)
    field = field * _uniform(images, 0.5, 6).view(-1, 1, 1, 1) + _uniform(images, -1, 1).view(-1, 1, 1, 1)
    away = (torch.arange(SIZE, device=device) + 0.5 - SIZE / 2).abs()
    tall, wide = (_uniform(images, 5, 12).view(-1, 1, 1, 1) for _ in range(2))
    return field.clamp(0, 1) * ((away.view(-1, 1) < tall) & (away < wide)), _all(labels)


def _among(labels, digits):
    return torch.isin(labels, torch.tensor(digits, device=labels.device))


def _all(labels):
    return torch.ones_like(labels, dtype=torch.bool)


def _uniform(images, low, high):
    """One number an image, (N,)."""
    return torch.empty(len(images), device=images.device).uniform_(low, high)
