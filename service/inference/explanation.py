"""What each network looks at in one 28x28 image. None of this says why a network decides as it does.

- Occlusion (Zeiler & Fergus, https://arxiv.org/abs/1311.2901, section 4.2), for every network: cover one square of the
  image with background, and see by how much the probability of a digit falls. It works on any network, so the maps can
  be compared. It shows which ink the network could not do without one square at a time; not how squares work together,
  and not that ink which is missing speaks against another digit.
- Attention of the Vision Transformer's class token to the 49 patches in the last block, the mean of its heads. It shows
  where the last block takes information from, which the blocks before it have mixed already: it is no measure of
  importance (Jain & Wallace, https://arxiv.org/abs/1902.10186).
- Proposals of Faster R-CNN: what its first stage takes for an object, before the second stage reads them.
"""

from dataclasses import dataclass

import numpy as np

from service.inference.predictor import Predictor
from service.inference.shapes import LARGEST
from service.picture.framing import SIZE

GRID = 7  # squares a side, each over one patch of the Vision Transformer
CELL = SIZE // GRID  # pixels from one square to the next
COVER = 8  # pixels a side of what is covered around a cell: as wide as two strokes, else a stroke is only thinned
DECIMALS = 3
LEAST = 0.0005  # objectness of a proposal worth showing: those that a better one covers have less


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What one network looks at."""

    occlusion: np.ndarray  # (7, 7) float32, -1 to 1: by how much the digit's probability falls
    attention: np.ndarray | None = (
        None  # (7, 7) float32, shares that sum to nearly 1; the rest is the class token's own
    )
    proposals: list[tuple[list[float], float]] | None = None  # x_min, y_min, x_max, y_max in `image`; objectness 0 to 1

    def as_json(self) -> dict:
        """As `schema.ModelExplanation` describes it."""
        return {
            "occlusion": np.round(self.occlusion.astype(float), DECIMALS).tolist(),
            "attention": None if self.attention is None else np.round(self.attention.astype(float), DECIMALS).tolist(),
            "proposals": self.proposals
            and [
                {"box": [round(side, 1) for side in box], "objectness": round(share, DECIMALS)}
                for box, share in self.proposals
            ],
        }


def explain(predictor: Predictor, image: np.ndarray, names: list[str], digit: int) -> dict[str, Explanation]:
    """What the models `names` look at for `digit` in an image (28, 28) uint8, 0 background to 255 ink.

    Squares without ink are not run: they change nothing.
    """
    covered, places = covered_images(image)
    images = np.concatenate([image[None, None], covered])
    maps = {name: np.zeros((GRID, GRID), np.float32) for name in names}
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, len(images), LARGEST):  # others have their turn between
        answers = predictor.classify(images[start : start + LARGEST], names)
        for name in names:
            probabilities[name].append(answers.by_name[name].probabilities[:, digit])
    for name in names:
        whole, *without = np.concatenate(probabilities[name])
        for (row, column), share in zip(places, without, strict=True):
            maps[name][row, column] = whole - share
    return {name: _explanation(predictor, image, name, maps[name]) for name in names}


def covered_images(image: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The image (28, 28) with each square that holds ink covered, (K, 1, 28, 28), and each square's row and column."""
    margin = (COVER - CELL) // 2
    images, places = [np.empty((0, 1, SIZE, SIZE), np.uint8)], []
    for row in range(GRID):
        for column in range(GRID):
            rows = slice(max(row * CELL - margin, 0), (row + 1) * CELL + margin)
            columns = slice(max(column * CELL - margin, 0), (column + 1) * CELL + margin)
            if image[rows, columns].any():
                covered = image.copy()
                covered[rows, columns] = 0
                images.append(covered[None, None])
                places.append((row, column))
    return np.concatenate(images), places


def _explanation(predictor: Predictor, image: np.ndarray, name: str, occlusion: np.ndarray) -> Explanation:
    said = predictor.explanations(image[None, None], name)
    attention = proposals = None
    if "attention" in said:
        attention = said["attention"][0].reshape(GRID, GRID)
    if "proposals" in said:
        found = zip(said["proposals"][0], said["objectness"][0], strict=True)
        proposals = [([float(side) for side in box], float(share)) for box, share in found if share >= LEAST]
    return Explanation(occlusion=occlusion, attention=attention, proposals=proposals)
