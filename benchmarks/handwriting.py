"""Pictures on paper of digits by other writers than MNIST's: UNIPEN, UJIpenchars2 (strokes) and optdigits (bitmaps).

They are of the test writers, from whom nothing was learnt. Each is drawn as a photograph: lit, grainy paper and a pen.
"""

from pathlib import Path

import cv2
import numpy as np

from benchmarks.photographs import SIZE, drawn, encoded, paper
from training.data import uji, unipen

SOURCES = {"unipen": "unipen/digits.npz", "uji": "uji_digits/digits.npz", "optdigits": "optdigits/optdigits.npz"}
NUMBERS = "unipen/numbers.npz"
HEIGHT = 100, 330  # pixels of a digit on the photograph, at least and at most
PENS = (35, 35, 70), (20, 20, 20), (110, 110, 110)  # ballpoint, fibre pen, pencil


def digits(folder: Path, count: int, generator: np.random.Generator) -> list[tuple[bytes, str]]:
    """A third of `count` photographs from each source, JPEG, each with its label."""
    made = []
    for name, path in SOURCES.items():
        data = np.load(folder / path)
        for sample in generator.choice(_unseen(name, folder, data), count // len(SOURCES), replace=False):
            height = int(generator.integers(*HEIGHT))
            if "points" in data:
                covered = _strokes(data, sample, height, height * generator.uniform(0.03, 0.1), generator)
            else:
                covered = _bitmap(np.unpackbits(data["images"][sample], axis=-1), height, generator)
            made.append((_photograph(covered, generator), str(data["label"][sample])))
    return made


def numbers(folder: Path, count: int, generator: np.random.Generator) -> list[tuple[bytes, str]]:
    """Photographs of numbers of several digits, JPEG, each with its label."""
    data = np.load(folder / NUMBERS)
    usable, _ = unipen.samples("test", folder, unipen.NUMBERS)
    made = []
    for sample in generator.choice(usable, min(count, len(usable)), replace=False):
        covered = _strokes(data, sample, int(generator.integers(400, 700)), generator.uniform(4, 12), generator)
        made.append((_photograph(covered, generator), str(data["label"][sample])))
    return made


def _unseen(name: str, folder: Path, data: np.lib.npyio.NpzFile) -> np.ndarray:
    """The rows of a source by writers that nothing was trained on."""
    if name == "unipen":
        return unipen.samples("test", folder, unipen.DIGITS)[0]
    return uji.samples("test", folder)[0] if name == "uji" else np.flatnonzero(data["part"] == "other_writers")


def _strokes(
    data: np.lib.npyio.NpzFile, sample: int, side: int, pen: float, generator: np.random.Generator
) -> np.ndarray:
    """How much of each pixel (H, W), 0 to 1, a pen so broad covers that draws a sample with this longer side."""
    covered = np.zeros(SIZE, np.uint8)
    strokes = range(data["sample"][sample], data["sample"][sample + 1])
    lines = [data["points"][data["stroke"][one] : data["stroke"][one + 1]].astype(float) for one in strokes]
    points = np.concatenate(lines)
    scale = side / max(np.ptp(points, axis=0).max(), 1)
    size = np.ptp(points, axis=0) * scale
    corner = generator.uniform(20, np.maximum(np.array(SIZE[::-1]) - size - 20, 21))
    for line in lines:
        placed = (((line - points.min(0)) * scale + corner) * 16).astype(np.int32)
        cv2.polylines(covered, [placed], False, 255, max(2, round(pen)), cv2.LINE_AA, 4)
    return covered / 255


def _bitmap(image: np.ndarray, side: int, generator: np.random.Generator) -> np.ndarray:
    """The same of a bitmap (32, 32), 1 where there is ink."""
    large = cv2.resize((image > 0).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    large = ((cv2.GaussianBlur(large, (0, 0), side / 60) - 0.5) * 6 + 0.5).clip(0, 1)
    covered = np.zeros(SIZE, np.float32)
    left, top = (int(generator.integers(10, room - side - 10)) for room in SIZE[::-1])
    covered[top : top + side, left : left + side] = large
    return covered


def _photograph(covered: np.ndarray, generator: np.random.Generator) -> bytes:
    pen = PENS[generator.integers(len(PENS))]
    return encoded(drawn(paper(generator), covered[..., None], pen))
