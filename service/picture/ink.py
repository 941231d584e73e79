"""Ink in a picture: models/ink.onnx says of each pixel whether somebody wrote there, on any paper, in any light.

The network was trained on made-up photographs (training.scenes.scene), in which rules, print, shadows and tables
are no ink. Its levels are even: a faint pencil and a black pen give the same.
"""

import threading
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

FILE = Path("ink.onnx")  # in the models' folder
MULTIPLE = 32  # the sides that the network takes are multiples of this
ENLARGED = 8.0  # largest factor by which a small picture is enlarged; more gains nothing
LARGE = 512 * 512  # pixels: of more, one look is taken at a time, for at 1024 x 1024 it takes 150 MB
SMALL = 40  # pixels of the longer side of a picture whose strokes are a pixel or two wide
FAINTEST = 8.0  # least difference of grey levels between its ink and its paper
SURELY = 127  # of 255: a higher level is ink
PERHAPS = 64  # a higher level is ink if it is connected to a pixel of SURELY
CERTAIN = 235  # of 255: the level of certain ink
MUCH = 0.25  # least share of certain pixels in real writing, see `is_sure`


class InkFinder:
    """Finds ink in grey pictures with a session of ink.onnx; one for all threads of a process."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        # onnxruntime keeps what its largest picture took, unless it is told to give it back after each run.
        self._giving_back = onnxruntime.RunOptions()
        self._giving_back.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._large = threading.Lock()

    def find(self, picture: np.ndarray, longest: int) -> tuple[np.ndarray, float]:
        """The ink of a picture (H, W) uint8, seen with `longest` pixels on its longer side, at most ENLARGED times it.

        Returns how surely each pixel is ink (h, w) uint8, 0 to 255, and the pixels of that per pixel of the picture.
        """
        scale = min(longest / max(picture.shape), ENLARGED)
        height, width = (max(1, round(side * scale)) for side in picture.shape)
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        if not is_shown(picture):
            return cv2.resize(_levels(picture), (width, height), interpolation=way), scale
        seen = cv2.resize(picture, (width, height), interpolation=way)
        seen = cv2.copyMakeBorder(seen, 0, -height % MULTIPLE, 0, -width % MULTIPLE, cv2.BORDER_REPLICATE)
        with self._large if seen.size > LARGE else nullcontext():
            (ink,) = self._session.run(["ink"], {"pictures": seen[None, None]}, self._giving_back)
        return np.asarray(ink)[0, 0, :height, :width], scale


def is_shown(picture: np.ndarray) -> bool:
    """Whether a picture (H, W) is shown to the network: all but the smallest are."""
    return max(picture.shape) > SMALL


def is_sure(ink: np.ndarray) -> bool:
    """Whether ink that the network found, uint8 of any shape, not empty, is surely writing.

    Writing is certain but for its edges. The lines of a face or a texture may look like a digit, but are uncertain.
    Without this, three of 333 pictures of the development set fewer were answered rightly, and nowhere one more.
    """
    return bool(np.mean(ink >= CERTAIN) >= MUCH)


def _levels(picture: np.ndarray) -> np.ndarray:
    """The ink (H, W) uint8 of a small picture (H, W) uint8: how far each pixel is from the level of most of the rim.

    Strokes a pixel or two wide have no edges that a network could see, and their grey levels say how broad they are.
    """
    paper = float(np.median(rim(picture)))
    away = picture - paper
    if -away.min() > away.max():  # dark ink on light paper
        away = -away
    full = float(away.max())
    return (away * (255 / full)).clip(0, 255).astype(np.uint8) if full >= FAINTEST else np.zeros_like(picture)


def rim(picture: np.ndarray) -> np.ndarray:
    """The outermost pixels of a picture (H, W)."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def is_even(pixels: np.ndarray) -> bool:
    """Whether pixels, uint8, are of one level, as an empty paper is."""
    return bool(np.abs(pixels - np.median(pixels)).max() <= FAINTEST)


def written(ink: np.ndarray) -> np.ndarray:
    """Which pixels of ink (H, W) uint8 are written on: (H, W) uint8, 1 or 0.

    Two thresholds, as Canny has them (https://doi.org/10.1109/TPAMI.1986.4767851): a stroke may fade, and go on.
    """
    count, parts = cv2.connectedComponents((ink > PERHAPS).astype(np.uint8), connectivity=8)
    parts = np.asarray(parts, np.int32)
    is_ink = np.zeros(count, np.uint8)
    is_ink[parts[ink > SURELY]] = 1
    return is_ink[parts]
