"""Digits and non-digits by people outside MNIST: their folder, their splits, and the form that every source has.

The splits are by writer, never by image: 70 % of the writers are for training, 15 % for validation and 15 % for test.
No network is trained on a writer that it is measured on.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.picture.framing import SIZE, frame

SPLITS = ("train", "validation", "test")
# The writers, sorted by collection, are numbered 0 to 19 in turn, so that each collection is in each split.
VALIDATION_TURNS, TEST_TURNS, TURNS = (3, 10, 17), (6, 13, 19), 20


@dataclass(frozen=True)
class Source:
    """Handwriting of one split, drawn differently each time."""

    draw: Callable[[np.ndarray, np.random.Generator], np.ndarray]  # rows (M,) -> images (M, 28, 28) uint8
    labels: np.ndarray  # (N,) int64, NONE for what is no digit
    kinds: np.ndarray  # (N,) str: what was written
    writers: np.ndarray  # (N,) int

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """At most so many images (M, 1, 28, 28) uint8 and their labels (M,); the same for the same seed."""
        generator = np.random.default_rng(seed)
        rows = np.sort(generator.permutation(len(self))[:most])
        return self.draw(rows, generator)[:, None], self.labels[rows]


def framed(ink: Callable[[int, np.random.Generator], np.ndarray]) -> Callable[..., np.ndarray]:
    """The `draw` of a source whose images are drawn one by one, and framed by the service's own `frame`.

    ink: draws a row in any size, (H, W), 0 background to 255.
    """

    def draw(rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        images = np.empty((len(rows), SIZE, SIZE), np.uint8)
        for i, row in enumerate(rows):
            drawn = ink(row, generator)
            images[i] = frame(drawn.astype(np.float32), drawn > 127)[0]
        return images

    return draw


def folder(root: Path | str | None = None) -> Path:
    """The folder of the other writers' data: `root`, else the environment's WRITERS_ROOT, else data/writers."""
    return Path(root or os.environ.get("WRITERS_ROOT") or "data/writers")


def existing(path: Path) -> Path:
    """`path` itself. Raises FileNotFoundError with advice if there is no such file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing. Fetch it with: make data, set WRITERS_ROOT to its folder, or train on MNIST alone "
            f"with --sources mnist."
        )
    return path


def check_split(split: str) -> None:
    """Raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; known splits: {', '.join(SPLITS)}.")


def split_of(writers: np.ndarray, collections: np.ndarray) -> np.ndarray:
    """The split (N,) of each writer (N,), who wrote for a collection (N,), by the writer's turn."""
    order = np.lexsort((writers, collections))
    turns = np.empty(len(writers), int)
    turns[order] = np.arange(len(writers)) % TURNS
    return np.where(
        np.isin(turns, VALIDATION_TURNS), "validation", np.where(np.isin(turns, TEST_TURNS), "test", "train")
    )


def split_of_nameless(count: int) -> np.ndarray:
    """The split (N,) of each of `count` drawings by people who are not named: 90 % are for training, 5 % each to test
    and to validate. The rule is fixed by the order of the file."""
    turns = np.arange(count) % TURNS
    return np.select([turns == VALIDATION_TURNS[0], turns == TEST_TURNS[0]], ["validation", "test"], "train")


def at_most(rows: np.ndarray, writers: np.ndarray, kinds: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of the `rows` (M,) of each writer, spread evenly over the kinds; writers and kinds: (N,)."""
    kept = []
    for writer in np.unique(writers[rows]):
        own = rows[writers[rows] == writer]
        own = own[np.argsort(kinds[own], kind="stable")]
        if len(own) > limit:
            own = own[np.linspace(0, len(own) - 1, limit).round().astype(int)]
        kept.append(own)
    return np.sort(np.concatenate(kept))
