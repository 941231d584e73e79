"""What a pen writes, stroke by stroke, each time a little differently: points along its path, and their picture."""

from functools import cache

import torch
import torch.nn.functional as F

from training.data import SIZE

STROKES = 4  # of a glyph, at most
POINTS = 96  # along a stroke
PEN = 1.1, 2.5  # pixels from the middle of a stroke to where its ink ends


def trace(glyphs, kinds, shake):
    """Points (N, STROKES * POINTS, 2) along the strokes of glyphs, x to the right and y down, from about 0 to 1.

    glyphs: a tuple of texts, each the strokes of one with ", " between them. A stroke is the places that the pen
    passes, "xy" each, from 0 to 9; a place that stands twice is a corner. kinds: (N,), which of them; one of fewer
    strokes has its first again. shake: of a glyph's size, the standard deviation of each place.
    """
    passed, along = (table[kinds] for table in _tables(glyphs, kinds.device))
    return along @ (passed + shake * torch.randn_like(passed))


def picture(points):
    """Points (N, P, 2) along the strokes of a pen to images (N, 1, 28, 28), framed as MNIST's digits are."""
    low, high = points.amin(1, keepdim=True), points.amax(1, keepdim=True)
    points = SIZE / 2 + (points - (low + high) / 2) * (18 / (high - low).amax(2, keepdim=True))
    pixels = torch.cartesian_prod(*2 * [torch.arange(SIZE, device=points.device) + 0.5]).flip(1)  # x, y
    distance = torch.cdist(pixels.expand(len(points), -1, -1), points).amin(2).view(-1, 1, SIZE, SIZE)
    pen = torch.empty(len(points), 1, 1, 1, device=points.device).uniform_(*PEN)
    return centred((pen - distance).clamp(0, 1))


def centred(images):
    """Images (N, 1, H, W) with the centre of their ink in the middle: moved by whole pixels, which blurs nothing."""
    rows, columns = images.shape[-2:]
    y, x = (torch.arange(count, device=images.device) + 0.5 for count in (rows, columns))
    ink = images[:, 0]
    mass = ink.sum((1, 2)).clamp(min=1e-3)
    away = torch.stack([ink.sum(1) @ x / mass - columns / 2, ink.sum(2) @ y / mass - rows / 2], 1)
    matrix = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    matrix[:, :, 2] = 2 * away.round() / torch.tensor([columns, rows], device=images.device)
    grid = F.affine_grid(matrix, images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


@cache
def _tables(glyphs, device):
    """Each glyph's places that the pen passes (K, 2) and their weights along its strokes (STROKES * POINTS, K)."""
    places, weights = zip(*(_glyph(text.split(", ")) for text in glyphs), strict=True)
    most = max(len(passed) for passed in places)
    return (
        torch.stack([F.pad(passed, (0, 0, 0, most - len(passed))) for passed in places]).to(device),
        torch.stack([F.pad(along, (0, most - along.shape[1])) for along in weights]).to(device),
    )


def _glyph(strokes):
    passed, turns = [], []  # places, and of each stroke their numbers
    for stroke in strokes:
        numbers = []
        for place in stroke.split():
            if not numbers or passed[numbers[-1]] != place:
                passed.append(place)
            numbers.append(len(passed) - 1)
        turns.append(numbers)
    turns += turns[:1] * (STROKES - len(turns))
    places = torch.tensor([[int(x), int(y)] for x, y in passed]) / 9
    return places, torch.cat([_spline(numbers, places) for numbers in turns])


def _spline(numbers, passed):
    """Weights (POINTS, K) of places passed (K, 2) along Catmull and Rom's spline through those of these numbers.

    With corners, and about as many points a length everywhere, so that the finest pen leaves no row of dots.
    """
    numbers = torch.tensor([numbers[0], *numbers, numbers[-1]])
    places = torch.eye(len(passed))[numbers]
    corner = (numbers[1:-1] == numbers[:-2]) | (numbers[1:-1] == numbers[2:])
    slopes = (places[2:] - places[:-2]) / 2 * ~corner[:, None]
    places, parts = places[1:-1], (numbers[1:-2] != numbers[2:-1]).nonzero()[:, 0]
    lengths = ((places[parts + 1] - places[parts]) @ passed).norm(dim=1)
    ends = lengths.cumsum(0)
    along = torch.linspace(0, 1 - 1e-4, POINTS) * ends[-1]
    number = torch.searchsorted(ends, along, right=True)
    part, t = parts[number], 1 - ((ends[number] - along) / lengths[number])[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * places[part]
        + (t**3 - 2 * t**2 + t) * slopes[part]
        + (3 * t**2 - 2 * t**3) * places[part + 1]
        + (t**3 - t**2) * slopes[part + 1]
    )
