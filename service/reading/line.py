"""A line of writing as the line recogniser sees it, and what it says of it.

models/line.onnx takes grey lines of HEIGHT pixels and any width. For each step of STEP columns it gives the logarithm of
the probability of BLANK, of each of CHARACTERS, and of OTHER, as Connectionist Temporal Classification has it (Graves et
al., https://doi.org/10.1145/1143844.1143891).
"""

import cv2
import numpy as np

HEIGHT, INK = 40, 28  # pixels of a line, and of its writing in the middle of it
STEP = 2  # columns a step
MARGIN = 0.5  # of the height of the writing: paper shown to its left and right
DIGITS, SIGNS = "0123456789", ".,-+/:%=()x€$#"
OTHER = "?"  # how a transcript shows another mark: a letter, a word, a drawing
CHARACTERS = DIGITS + SIGNS + OTHER  # class i + 1 is the i-th
BLANK, CLASSES = 0, len(CHARACTERS) + 1
PAPER, CONTRAST = 128, 36.0  # the level of paper, and levels of one standard deviation
FLATTEST = 4.0  # grey levels of a standard deviation, at least: grain of paper is not blown up


def levelled(grey: np.ndarray, light: bool = False) -> np.ndarray:
    """A line (H, W) uint8, of any light, on paper of one level; light: whether its writing is lighter than its paper."""
    values = grey.astype(np.float32)
    values -= np.median(values)
    scale = CONTRAST / max(float(values.std()), FLATTEST)
    return (values * (-scale if light else scale) + PAPER).clip(0, 255).astype(np.uint8)


def batched(lines: list[np.ndarray], multiple: int = 4) -> np.ndarray:
    """Lines (HEIGHT, W) uint8 of any widths side by side, (N, 1, HEIGHT, W) uint8, filled up with paper."""
    width = -(-max(line.shape[1] for line in lines) // multiple) * multiple
    batch = np.full((len(lines), 1, HEIGHT, width), PAPER, np.uint8)
    for row, line in zip(batch, lines, strict=True):
        row[0, :, : line.shape[1]] = line
    return batch
