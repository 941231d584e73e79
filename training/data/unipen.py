"""UNIPEN's digits, letters and signs as pen strokes (train_r01_v07, https://doi.org/10.5281/zenodo.1195803, CC BY 4.0).

Writers and collections appear only as numbers, as the International Unipen Foundation requests.
"""

from functools import cache, partial
from pathlib import Path

import numpy as np

from training.data.lookalikes import UNIPEN as LOOKALIKES
from training.data.strokes import Strokes, draw_some
from training.data.writers import Source, at_most, check_split, existing, folder, split_of
from training.recipe import NONE

DIGITS, LETTERS, NUMBERS = ("digits",), ("upper", "lower", "symbols"), ("numbers",)
UNSEEN = frozenset("#%+<=?^{~@")  # signs that no network is trained on, to measure how many unknown signs are refused
SLASHED = "0 slashed"  # the kind of a zero written in two strokes; of 240 such zeros we looked at, 95 % are slashed
# At most so many in training. Without these limits, three writers would have written a quarter of all samples.
DIGITS_A_WRITER, LETTERS_A_WRITER = 100, 300


def digits(split: str, root: Path | str | None = None) -> Source:
    """The digits of a split's writers."""
    rows, strokes = samples(split, root, DIGITS)
    if split == "train":
        rows = at_most(rows, strokes.writer, strokes.label, DIGITS_A_WRITER)
    kinds = np.where((strokes.label == "0") & (np.diff(strokes.sample) == 2), SLASHED, strokes.label)
    return _source(strokes, rows, strokes.label[rows].astype(np.int64), kinds)


def letters(split: str, root: Path | str | None = None) -> Source:
    """The letters and signs of a split's writers, without look-alikes and UNSEEN."""
    rows, strokes = samples(split, root, LETTERS)
    rows = rows[~np.isin(strokes.label[rows], sorted(LOOKALIKES | UNSEEN))]
    if split == "train":
        rows = at_most(rows, strokes.writer, strokes.label, LETTERS_A_WRITER)
    return _source(strokes, rows, np.full(len(rows), NONE), strokes.label)


def unseen_signs(root: Path | str | None = None) -> Source:
    """The UNSEEN signs, by the writers of the test split."""
    rows, strokes = samples("test", root, LETTERS)
    rows = rows[np.isin(strokes.label[rows], sorted(UNSEEN))]
    return _source(strokes, rows, np.full(len(rows), NONE), strokes.label)


def _source(strokes: Strokes, rows: np.ndarray, labels: np.ndarray, kinds: np.ndarray) -> Source:
    return Source(partial(draw_some, strokes, rows), labels, kinds[rows], strokes.writer[rows])


def samples(split: str, root: Path | str | None, parts: tuple[str, ...]) -> tuple[np.ndarray, Strokes]:
    """The strokes of `parts`, and the rows of a split in them."""
    check_split(split)
    path = folder(root) / "unipen"
    strokes = _load(path, parts)
    writers, splits = _splits(path)
    return np.flatnonzero(splits[np.searchsorted(writers, strokes.writer)] == split), strokes


@cache
def _load(path: Path, parts: tuple[str, ...]) -> Strokes:
    return Strokes.joined([Strokes.load(existing(path / f"{part}.npz")) for part in parts])


@cache
def _splits(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """All writers (W,), of digits and of letters, and the split of each (W,)."""
    everything = _load(path, DIGITS), _load(path, LETTERS)
    writers, first = np.unique(np.concatenate([part.writer for part in everything]), return_index=True)
    collections = np.concatenate([part.source for part in everything])[first]
    splits = split_of(writers, collections)
    # Most of those who wrote whole numbers wrote nothing else; they are split among themselves.
    numbers = _load(path, NUMBERS)
    others, first = np.unique(numbers.writer, return_index=True)
    new = ~np.isin(others, writers)
    others, collections = others[new], numbers.source[first[new]]
    order = np.argsort(everyone := np.concatenate([writers, others]), kind="stable")
    return everyone[order], np.concatenate([splits, split_of(others, collections)])[order]
