"""Digits as different hands write them, stroke by stroke: MNIST's writers were Americans, most of one census office.

https://en.wikipedia.org/wiki/Regional_handwriting_variation. A network that sees each digit in more shapes, by a pen
that never varies, learns less of MNIST's own pens and paper.
"""

import torch

from training.strokes import picture, trace

SHAKE = 0.045  # see `trace`
WIDTH, SLANT = (0.6, 1.1), (-0.15, 0.45)  # of the height; to the right, a row up
# The strokes of `trace`. What tells a 1 from a 7 is how its first stroke hangs: a 1's by 40 degrees or more, a 7's by
# 30 or less, whatever the width makes of it.
HANDS = {
    0: (
        "50 21 15 28 59 78 85 71 50 21",
        "60 31 14 27 59 77 84 62 31",
        "40 24 37 59 75 71 40 24",
        "50 21 15 28 59 78 85 71 50 21, 18 81",
    ),
    1: (
        "50 59",
        "32 50 50 59",
        "23 50 50 59",
        "14 50 50 59",
        "25 50 50 59",
        "05 50 50 59",
        "50 59, 29 79",
        "32 50 50 59, 29 79",
        "14 50 50 59, 28 79",
    ),
    2: (
        "12 40 72 65 19 19 89",
        "12 40 72 65 28 17 36 89",
        "11 50 73 46 19 19 58 87",
        "10 70 70 19 19 89",
        "13 31 52 44 19 19 99",
    ),
    3: (
        "11 50 82 44 44 85 58 18",
        "11 70 70 34 34 76 58 18",
        "12 41 72 44 76 49 17",
        "11 40 62 34 34 86 69 37",
    ),
    4: (
        "20 15 15 85, 70 69",
        "60 05 05 95, 60 69",
        "60 15 15 84 84 79",
        "40 15 36 84 84 69",
        "10 24 54 72, 80 59",
    ),
    5: (
        "80 20 20 14 14 53 86 58 18",
        "20 14 14 53 86 58 18, 20 80",
        "80 40 22 44 76 58 18",
        "80 20 24 64 77 59 28",
    ),
    6: (
        "70 32 15 27 59 78 76 45 17",
        "60 24 16 38 68 75 44 17",
        "40 15 28 69 86 54 27",
        "83 70 32 15 28 69 87 65 26",
    ),
    7: (
        "00 80 80 39",
        "01 70 70 59",
        "02 80 80 59",
        "02 60 60 59",
        "02 60 60 39",
        "01 50 50 49",
        "12 10 80 80 49",
        "12 40 72 54 49",
        "11 40 71 65 69",
        "00 80 80 39, 35 75",
        "02 80 80 59, 35 85",
    ),
    8: (
        "71 40 21 33 66 77 49 27 35 63 71",
        "50 32 44 63 71 50, 54 26 38 59 77 65 44",
        "72 50 22 44 76 58 27 44 72",
        "82 50 22 44 76 58 27 44 90",
    ),
    9: (
        "72 50 22 34 63 72 72 69",
        "72 40 13 25 64 71 71 59",
        "60 40 32 43 61 60 60 69",
        "60 31 33 63 60 60 69",
        "50 20 23 53 50 50 59",
        "50 21 24 53 50 50 59",
        "71 40 22 44 72 71 71 76 48 27",
        "71 50 32 44 62 71 71 77 59 28 17",
        "60 31 23 44 62 60 60 68 49 27, 60 81",
    ),
}
_GLYPHS = tuple(glyph for digit in range(10) for glyph in HANDS[digit])
_COUNTS = tuple(len(HANDS[digit]) for digit in range(10))


def rewrite(images, labels, share):
    """Replace a share of the digits by the same digits of another hand.

    images: (N, 1, 28, 28) float32, 0 background to 1 ink; labels: (N,), -1 for what stays. Returns new images.
    """
    chosen = (labels >= 0) & (torch.rand(labels.shape, device=labels.device) < share)
    images = images.clone()
    if chosen.any():
        images[chosen] = write(labels[chosen])
    return images


def write(digits):
    """Images (N, 1, 28, 28) of digits (N,), each in one of its hands."""
    counts = torch.tensor(_COUNTS, device=digits.device)
    first = counts.cumsum(0) - counts
    kinds = first[digits] + (torch.rand(digits.shape, device=digits.device) * counts[digits]).long()
    x, y = trace(_GLYPHS, kinds, SHAKE).unbind(2)
    width, slant = (torch.empty(len(x), 1, device=x.device).uniform_(*ends) for ends in (WIDTH, SLANT))
    return picture(torch.stack([x * width + (1 - y) * slant, y], 2))
