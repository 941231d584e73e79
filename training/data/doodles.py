"""Quick, Draw!'s doodles of cats, rainbows and trains (Google Creative Lab, CC BY 4.0): 28x28 pixels, no digit."""

from functools import partial
from pathlib import Path

import numpy as np

from service.picture.framing import frame
from training.data.writers import Source, check_split, existing, folder, split_of
from training.recipe import NONE

INK = 0.5  # share of full ink above which a pixel belongs to the drawing


def drawings(split: str, root: Path | str | None = None) -> Source:
    """The doodles of a split. The set does not name its authors; each doodle counts as a person of its own."""
    check_split(split)
    with np.load(existing(folder(root) / "quickdraw" / "doodles.npz")) as file:
        pictures, kinds = file["images"], file["label"]
    splits = split_of(np.arange(len(pictures)), np.zeros(len(pictures)))
    rows = np.flatnonzero((splits == split) & (pictures.max((1, 2)) > 255 * INK))
    return Source(partial(_draw, pictures[rows]), np.full(len(rows), NONE), kinds[rows], rows)


def _draw(pictures: np.ndarray, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Doodles, half of them mirrored, framed like digits."""
    images = np.empty((len(rows), *pictures.shape[1:]), np.uint8)
    for i, row in enumerate(rows):
        ink = pictures[row].astype(np.float32)
        ink = ink[:, ::-1] if generator.random() < 0.5 else ink
        images[i] = frame(np.ascontiguousarray(ink), ink > 255 * INK)[0]
    return images
