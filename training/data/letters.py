"""Letters and signs that are no digit in any hand, written stroke by stroke, each time a little differently."""

from functools import cache

import torch
import torch.nn.functional as F

STROKES = 4  # of a letter, at most
POINTS = 96  # along a stroke
SHAKE = 0.07  # of a letter's size, standard deviation of each place that the pen passes
# A stroke is the places that the pen passes, "xy" each, x to the right and y down, from 0 to 9; a place that stands
# twice is a corner. Left out is what is some hand's digit: O, C, D, U as 0; I, l as 1; Z as 2; S as 5; b, G as 6; T, J,
# > as 7; B, & as 8; a, g, q as 9.
LETTERS = {
    "A": "19 50 50 89, 26 76",
    "E": "80 10 10 19 19 89, 14 74",
    "F": "80 10 10 19, 14 74",
    "H": "10 19, 80 89, 14 84",
    "K": "10 19, 80 14 14 89",
    "M": "09 10 10 56 56 90 90 99",
    "N": "19 10 10 89 89 80",
    "P": "10 19, 10 60 82 65 15",
    "R": "10 19, 10 60 82 65 15 15 89",
    "V": "10 59 59 90",
    "W": "00 29 29 53 53 79 79 90",
    "X": "10 89, 80 19",
    "Y": "10 45, 80 45 45 49",
    "d": "74 44 26 38 68 75, 70 79",
    "e": "25 75 64 43 25 28 59 78",
    "f": "70 51 49, 24 74",
    "h": "20 29, 25 53 74 79",
    "k": "20 29, 74 26 26 79",
    "m": "03 09, 04 23 44 49, 44 63 84 89",
    "n": "23 29, 24 53 74 79",
    "p": "22 29, 22 52 74 56 26",
    "r": "33 39, 35 53 74",
    "v": "23 59 59 83",
    "w": "03 29 29 55 55 79 79 93",
    "x": "23 79, 73 29",
    "y": "10 46, 80 29",
    "Γ": "80 10 10 19",
    "Δ": "50 09 09 99 99 50",
    "Ξ": "10 80, 25 75, 19 89",
    "Π": "10 19, 00 90, 80 89",
    "Σ": "80 10 10 54 54 19 19 89",
    "Ψ": "02 11 15 46 86 92, 50 59",
    "Ω": "09 29 05 21 50 81 95 69 99",
    "α": "81 65 37 17 04 21 43 66 88",
    "α, open": "90 65 38 17 14 32 54 77 98",
    "γ": "02 11 31 45, 90 56 39",
    "ε": "81 50 22 34 54 34 16 28 59 88",
    "η": "02 21 29, 24 53 74 79",
    "κ": "22 29, 73 26 26 79",
    "λ": "10 30 45 79, 45 19",
    "λ, straight": "20 89, 55 19",
    "μ": "19 12, 15 27 56 72, 72 77 98",
    "π": "12 31 91, 41 39, 71 77 98",
    "φ": "54 24 07 39 78 75 43, 50 59",
    "χ": "01 21 78 98, 91 09",
    "ψ": "02 21 15 47 76 91, 60 59",
    "ω": "22 06 28 46 54 46 68 96 72",
    "+": "05 95, 50 59",
    "=": "13 83, 16 86",
    "≠": "13 83, 16 86, 70 29",
    "#": "30 29, 70 69, 03 93, 06 96",
    "*": "50 59, 12 87, 82 17",
    "<": "81 15 15 89",
    "→": "05 95, 62 95 95 68",
    "←": "95 05, 32 05 05 38",
    "✓": "05 38 38 90",
    "☆": "19 50 50 89 89 03 03 93 93 19",
    "☺": "50 21 05 28 59 88 95 81 50, 33 34, 73 74, 36 48 67 76",
}


def letters(kinds):
    """Points (N, STROKES * POINTS, 2) along the strokes of letters, x to the right and y down, from about 0 to 1.

    kinds: (N,), the numbers of letters in LETTERS. One of fewer strokes has its first again.
    """
    passed, along = (table[kinds] for table in _tables(kinds.device))
    return along @ (passed + SHAKE * torch.randn_like(passed))


@cache
def _tables(device):
    """Each letter's places that the pen passes (K, 2) and their weights along its strokes (STROKES * POINTS, K)."""
    places, weights = zip(*(_letter(strokes.split(", ")) for strokes in LETTERS.values()), strict=True)
    most = max(len(passed) for passed in places)
    return (
        torch.stack([F.pad(passed, (0, 0, 0, most - len(passed))) for passed in places]).to(device),
        torch.stack([F.pad(along, (0, most - along.shape[1])) for along in weights]).to(device),
    )


def _letter(strokes):
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
    return places, torch.cat([_spline(numbers, len(passed)) for numbers in turns])


def _spline(numbers, count):
    """Weights (POINTS, count) of places along Catmull and Rom's spline through those of these numbers, with corners."""
    numbers = torch.tensor([numbers[0], *numbers, numbers[-1]])
    places = torch.eye(count)[numbers]
    corner = (numbers[1:-1] == numbers[:-2]) | (numbers[1:-1] == numbers[2:])
    slopes = (places[2:] - places[:-2]) / 2 * ~corner[:, None]
    places, parts = places[1:-1], (numbers[1:-2] != numbers[2:-1]).nonzero()[:, 0]
    along = torch.linspace(0, len(parts) - 1e-4, POINTS)
    part, t = parts[along.long()], along.frac()[:, None]
    return (
        (2 * t**3 - 3 * t**2 + 1) * places[part]
        + (t**3 - 2 * t**2 + t) * slopes[part]
        + (3 * t**2 - 2 * t**3) * places[part + 1]
        + (t**3 - t**2) * slopes[part + 1]
    )
