"""Signs and drawings as bitmaps, none of them a digit.

- letters, signs, smileys and emoji, drawn from free typefaces
- CoMNIST's first capital letters, Latin and a few Cyrillic (G. Vial, https://github.com/GregVial/CoMNIST, CC BY-SA 4.0)
- Quick, Draw!'s apples, bicycles, diamonds, eyes and fishes (Google Creative Lab, CC BY 4.0)

Kinds that look like a digit are left out (`training.data.lookalikes`).
"""

from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from training.data.lookalikes import GLYPHS as LOOKALIKES
from training.data.writers import Source, check_split, existing, folder, framed, split_of_nameless
from training.recipe import NONE

TYPED = "typed_signs", "typed.npz"
LETTERS = "comnist_first", "letters.npz"
DOODLES = "quickdraw345", "bitmaps.npz"
UNSEEN_FACES = frozenset(("ComicNeue-Regular.otf", "NotoSerif-Italic.ttf"))  # typefaces that no network is trained on
UNSEEN_SIGNS = frozenset("#%+<=^{~@")  # as in training.data.unipen
HEIGHT = 72  # pixels of the longer side of an enlarged bitmap
MIRRORED = 0.5  # share of the doodles
SLANT, TURN, STRETCH = 0.15, 6.0, 0.12  # standard deviations: columns per row, degrees, log of width over height
LEVEL = 70, 185  # of 255: the level of the ink's edge, drawn for each image; the lower, the broader the strokes


def typed(split: str, root: Path | str | None = None) -> Source:
    """Typed letters, signs, smileys and emoji of a split."""
    check_split(split)
    pictures, kinds, faces = _load(folder(root).joinpath(*TYPED))
    known = ~(np.isin(faces, sorted(UNSEEN_FACES)) | np.isin(kinds, sorted(UNSEEN_SIGNS)))
    return _source(pictures, kinds, np.flatnonzero(known & (split_of_nameless(len(kinds)) == split)))


def unseen_typed(root: Path | str | None = None) -> Source:
    """What is typed in a typeface, or as a sign, that no network is trained on."""
    pictures, kinds, faces = _load(folder(root).joinpath(*TYPED))
    unknown = np.isin(faces, sorted(UNSEEN_FACES)) | np.isin(kinds, sorted(UNSEEN_SIGNS))
    return _source(pictures, kinds, np.flatnonzero(unknown))


def _drawn(file: tuple[str, str], mirrored: float, split: str, root: Path | str | None = None) -> Source:
    """The drawings of a split; mirrored: share of them."""
    check_split(split)
    pictures, kinds, _ = _load(folder(root).joinpath(*file))
    return _source(pictures, kinds, np.flatnonzero(split_of_nameless(len(kinds)) == split), mirrored)


letters, doodles = partial(_drawn, LETTERS, 0.0), partial(_drawn, DOODLES, MIRRORED)


@cache
def _load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (N, S, S) uint8, ink 255, their kinds (N,) and sources (N,), without look-alikes and empty pictures."""
    with np.load(existing(path)) as file:
        kept = ~np.isin(file["label"], sorted(LOOKALIKES)) & (file["images"] > LEVEL[1]).any((1, 2))
        return file["images"][kept], file["label"][kept], file["source"][kept]


def _source(pictures: np.ndarray, kinds: np.ndarray, rows: np.ndarray, mirrored: float = 0.0) -> Source:
    draw = framed(partial(_ink, pictures[rows], mirrored))
    return Source(draw, np.full(len(rows), NONE), kinds[rows], rows)  # each drawing counts as a person of its own


def _ink(pictures: np.ndarray, mirrored: float, row: int, generator: np.random.Generator) -> np.ndarray:
    picture = pictures[row]
    if generator.random() < mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
    ink = cv2.resize(picture, (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    wide = np.exp(STRETCH * generator.standard_normal() / 2)
    slant, angle = SLANT * generator.standard_normal(), np.radians(TURN * generator.standard_normal())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ [[wide, -slant], [0, 1 / wide]]
    matrix = np.column_stack([matrix, HEIGHT - matrix @ (HEIGHT / 2, HEIGHT / 2)])
    ink = cv2.warpAffine(ink, matrix, (2 * HEIGHT, 2 * HEIGHT))
    level = generator.uniform(*LEVEL) * float(ink.max()) / 255
    return ((ink - level) * 3 + 127).clip(0, 255)
