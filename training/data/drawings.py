"""Drawings as pen strokes, none of them a digit: symbols, doodles and gestures.

- Detexify's LaTeX symbols (D. Kirsch, https://github.com/kirel/detexify-data, ODbL 1.0)
- Quick, Draw!'s doodles of 311 categories (Google Creative Lab, https://quickdraw.withgoogle.com/data, CC BY 4.0)
- the $1 recogniser's gestures (Wobbrock et al., https://depts.washington.edu/acelab/proj/dollar, New BSD)

Kinds that look like a digit are left out (`training.data.lookalikes`).
"""

import zlib
from functools import cache, partial
from pathlib import Path

import numpy as np

from training.data import lookalikes
from training.data.strokes import Strokes, draw_some
from training.data.writers import Source, check_split, existing, folder, split_of, split_of_nameless
from training.recipe import NONE

SYMBOLS, DOODLES, GESTURES = ("detexify", "symbols.npz"), ("quickdraw345", "drawings.npz"), ("dollar1", "gestures.npz")
# Kinds that no network is trained on, to measure how many unknown kinds are refused: of the symbols and doodles, those
# whose CRC-32 leaves this rest when it is divided by 7. Cats, hearts and ticks are not among them.
EVERY, REST = 7, {SYMBOLS: 0, DOODLES: 1}
UNSEEN_GESTURES = frozenset(("delete_mark", "left_sq_bracket", "pigtail", "triangle"))
# UNIPEN's UNSEEN signs # % < ^ { ~ @ by their names in LaTeX: no set may show them in training.
UNSEEN_SIGNS = frozenset(("hash", "percent", "less", "asciicircum", "lbrace", "braceleft", "asciitilde", "sim", "MVAt"))
LOOKALIKES = {SYMBOLS: lookalikes.SYMBOLS, DOODLES: lookalikes.DOODLES, GESTURES: lookalikes.GESTURES}


def _source(file: tuple[str, str], split: str, root: Path | str | None = None) -> Source:
    """The drawings of a split; "unseen": those of the kinds that no network is trained on, by everybody."""
    if split != "unseen":
        check_split(split)
    strokes, unseen = _load(file, folder(root).joinpath(*file))
    if split == "unseen":
        rows = np.flatnonzero(unseen)
    elif (strokes.writer < 0).any():
        rows = np.flatnonzero(~unseen & (split_of_nameless(len(strokes)) == split))
    else:
        writers, which = np.unique(strokes.writer, return_inverse=True)
        rows = np.flatnonzero(~unseen & (split_of(writers, np.full(len(writers), ""))[which] == split))
    nobody = strokes.writer[rows] < 0  # each drawing then counts as a person of its own
    writers = np.where(nobody, rows, strokes.writer[rows])
    return Source(partial(draw_some, strokes, rows), np.full(len(rows), NONE), strokes.label[rows], writers)


symbols, doodles, gestures = (partial(_source, file) for file in (SYMBOLS, DOODLES, GESTURES))
unseen_symbols, unseen_doodles, unseen_gestures = (partial(load, "unseen") for load in (symbols, doodles, gestures))


@cache
def _load(file: tuple[str, str], path: Path) -> tuple[Strokes, np.ndarray]:
    """The strokes without look-alikes, and which samples are of a kind that is held out, (N,) bool."""
    strokes = Strokes.load(existing(path))
    kinds, which = np.unique(strokes.label, return_inverse=True)
    names = [_name(str(kind)) for kind in kinds]
    kept = np.array([name not in LOOKALIKES[file] for name in names])[which]
    unseen = np.array([_is_unseen(name, file) for name in names])[which]
    return strokes.of(np.flatnonzero(kept)), unseen[kept]


def _name(kind: str) -> str:
    """The name under which several packages have one symbol: "upgreek:upalpha" and "latex2e:alpha" are both "alpha"."""
    package, _, name = kind.rpartition(":")
    if package == "upgreek":
        return name[2:].capitalize() if name.startswith("Up") else name[2:]
    return name.removeprefix("text").replace(" ", "_")


def _is_unseen(name: str, file: tuple[str, str]) -> bool:
    if file == GESTURES:
        return name in UNSEEN_GESTURES
    return name in UNSEEN_SIGNS or zlib.crc32(name.casefold().encode()) % EVERY == REST[file]
