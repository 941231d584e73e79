"""Photographs of things on a table (TrashNet) and of wallpapers, without handwriting; authors: docs/model-card.md."""

import zipfile
from pathlib import Path

import cv2
import numpy as np

from training.data.writers import check_split, existing, folder

FILE = Path("photos_things") / "photos.zip"
BLOCK = 25  # photographs with neighbouring numbers show the same things, so they are in one split
VALIDATION_BLOCKS, TEST_BLOCKS, BLOCKS = (3,), (7,), 10  # in turn
VALIDATION_WALLPAPERS, TEST_WALLPAPERS = ("Dragonfly", "sunset"), ("friends", "Painting-Colors")  # beginnings of names
PRINTED = "cardboard", "paper"  # kinds that bear print here and there


def photographs(split: str, root: Path | str | None = None) -> dict[str, np.ndarray]:
    """The photographs (H, W) uint8 of a split by name, "kind/name.jpg".

    Split by blocks of neighbouring numbers and by wallpaper. Raises FileNotFoundError if the file is missing.
    """
    check_split(split)
    found = {}
    with zipfile.ZipFile(existing(folder(root) / FILE)) as file:
        for name in sorted(file.namelist()):
            if name.endswith(".jpg") and split_of(name) == split:
                content = np.frombuffer(file.read(name), np.uint8)
                found[name] = np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))
    return found


def textures(split: str, root: Path | str | None = None) -> np.ndarray | None:
    """The photographs of a split that bear no print, (N, 96, 96) uint8; None where the file is missing."""
    try:
        found = photographs(split, root)
    except FileNotFoundError:
        return None
    kept = [picture for name, picture in found.items() if not name.startswith(PRINTED) and picture.shape == (96, 96)]
    return np.stack(kept) if kept else None


def split_of(name: str) -> str:
    """The split of a photograph, "kind/name.jpg"."""
    kind, _, title = name.partition("/")
    if kind == "wallpaper":
        held_out = {"validation": VALIDATION_WALLPAPERS, "test": TEST_WALLPAPERS}
        return next((split for split, names in held_out.items() if title.startswith(names)), "train")
    block = int(title.removeprefix(kind).removesuffix(".jpg")) // BLOCK % BLOCKS
    return "validation" if block in VALIDATION_BLOCKS else "test" if block in TEST_BLOCKS else "train"
