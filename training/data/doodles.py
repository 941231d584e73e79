"""Quick, Draw!'s doodles of cats, rainbows and trains (Google Creative Lab, CC BY 4.0): 28x28 pixels, no digit."""

from functools import partial
from pathlib import Path

import numpy as np

from training.data.writers import Source, check_split, existing, folder, framed, split_of
from training.recipe import NONE


def drawings(split: str, root: Path | str | None = None) -> Source:
    """The doodles of a split. The set does not name its authors; each doodle counts as a person of its own."""
    check_split(split)
    with np.load(existing(folder(root) / "quickdraw" / "doodles.npz")) as file:
        pictures, kinds = file["images"], file["label"]
    splits = split_of(np.arange(len(pictures)), np.zeros(len(pictures)))
    rows = np.flatnonzero((splits == split) & (pictures.max((1, 2)) > 127))
    return Source(framed(partial(_ink, pictures[rows])), np.full(len(rows), NONE), kinds[rows], rows)


def _ink(pictures: np.ndarray, row: int, generator: np.random.Generator) -> np.ndarray:
    """A doodle; half of them are mirrored."""
    return pictures[row][:, ::-1] if generator.random() < 0.5 else pictures[row]
