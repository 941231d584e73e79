"""Omniglot's characters of eight alphabets, 20 drawers each (https://github.com/brendenlake/omniglot, MIT licence).

None of them is a digit. Those that look like one are left out (`training.data.lookalikes`).
"""

import zipfile
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np

from service.picture.framing import SIZE, frame
from training.data.lookalikes import OMNIGLOT as LOOKALIKES
from training.data.writers import Source, check_split, existing, folder
from training.recipe import NONE

FILES = ("images_background_small1.zip", "images_background_small2.zip")  # Greek and Latin are in both
UNSEEN = ("Balinese", "Japanese_(katakana)")  # alphabets that no network is trained on
VALIDATION_DRAWERS, TEST_DRAWERS = (15, 16, 17), (18, 19, 20)  # of the 20 of each alphabet
PENS = (1, 3, 5, 7, 9)  # pixels: width of the ellipse that thickens the thin lines of the 105x105 drawings
SLANT, TURN = 0.2, 8.0  # standard deviations: columns per row, degrees


def letters(split: str, root: Path | str | None = None) -> Source:
    """The characters by a split's drawers, without the UNSEEN alphabets."""
    check_split(split)
    names = {"validation": VALIDATION_DRAWERS, "test": TEST_DRAWERS}
    pictures, kinds, drawers = _load(folder(root) / "omniglot")
    held_out = VALIDATION_DRAWERS + TEST_DRAWERS
    chosen = np.isin(drawers, names[split]) if split in names else ~np.isin(drawers, held_out)
    return _source(pictures, kinds, drawers, chosen & ~_unseen(kinds))


def unseen_alphabets(root: Path | str | None = None) -> Source:
    """The characters of the UNSEEN alphabets, by all their drawers."""
    pictures, kinds, drawers = _load(folder(root) / "omniglot")
    return _source(pictures, kinds, drawers, _unseen(kinds))


def _unseen(kinds: np.ndarray) -> np.ndarray:
    return np.array([kind.rsplit("/", 1)[0] in UNSEEN for kind in kinds], bool)


def _source(pictures: np.ndarray, kinds: np.ndarray, drawers: np.ndarray, chosen: np.ndarray) -> Source:
    alphabets = {name: number for number, name in enumerate(sorted({kind.split("/")[0] for kind in kinds}))}
    writers = np.array([100 * alphabets[kind.split("/")[0]] for kind in kinds], int) + drawers
    labels = np.full(int(chosen.sum()), NONE)
    return Source(partial(_draw, pictures[chosen]), labels, kinds[chosen], writers[chosen])


@cache
def _load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (N, 105, 105) uint8 with ink 255, kinds "Alphabet/number" (N,) and drawers (N,), without look-alikes."""
    pictures: dict[tuple[str, int], np.ndarray] = {}
    for name in FILES:
        with zipfile.ZipFile(existing(path / name)) as file:
            for entry in sorted(file.namelist()):
                if not entry.endswith(".png"):
                    continue
                _, alphabet, character, drawing = entry.split("/")
                kind = f"{alphabet}/{int(character.removeprefix('character'))}"
                if kind not in LOOKALIKES:
                    content = np.frombuffer(file.read(entry), np.uint8)
                    picture = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))
                    pictures[kind, int(drawing.split("_")[1].removesuffix(".png"))] = 255 - picture
    kinds, drawers = zip(*pictures, strict=True)
    return np.stack(list(pictures.values())), np.array(kinds), np.array(drawers)


def _draw(pictures: np.ndarray, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    images = np.empty((len(rows), SIZE, SIZE), np.uint8)
    room = pictures.shape[1] // 4  # margin for slant, turn and pen
    side = pictures.shape[1] + 2 * room
    for i, row in enumerate(rows):
        pen = int(generator.choice(PENS))
        broad = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen))
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), TURN * generator.standard_normal(), 1)
        matrix[0, 1] += SLANT * generator.standard_normal()
        matrix[:, 2] += matrix[:, :2] @ (room, room)
        matrix[0, 2] -= matrix[0, 1] * side / 2
        ink = cv2.dilate(cv2.warpAffine(pictures[row], matrix, (side, side)), broad).astype(np.float32)
        images[i] = frame(ink, ink > 127)[0]
    return images
