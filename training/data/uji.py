"""UJIpenchars2's digits as pen strokes: 60 Spanish writers (https://archive.ics.uci.edu/dataset/177, CC BY 4.0)."""

from functools import partial
from pathlib import Path

import numpy as np

from training.data.strokes import Strokes, draw_some
from training.data.writers import Source, check_split, existing, folder, split_of


def digits(split: str, root: Path | str | None = None) -> Source:
    """The digits of a split's writers, who wrote each digit twice."""
    rows, strokes = samples(split, root)
    labels = strokes.label[rows].astype(np.int64)
    return Source(partial(draw_some, strokes, rows), labels, strokes.label[rows], strokes.writer[rows])


def samples(split: str, root: Path | str | None = None) -> tuple[np.ndarray, Strokes]:
    """All strokes, and the rows of a split in them."""
    check_split(split)
    strokes = Strokes.load(existing(folder(root) / "uji_digits" / "digits.npz"))
    writers = np.unique(strokes.writer)
    splits = split_of(writers, np.full(len(writers), ""))
    return np.flatnonzero(splits[np.searchsorted(writers, strokes.writer)] == split), strokes
