"""Show what each network looks at in one 28x28 image. None of this shows why a network decides as it does.

- Occlusion, for every network (Zeiler & Fergus, https://arxiv.org/abs/1311.2901, section 4.2): cover one square of the
  image with background, and measure by how much the probability of a digit falls. The maps of all networks can be
  compared. A map shows which single squares of ink a network needs. It does not show how squares work together, nor
  that missing ink speaks against other digits.
- Attention, for the Vision Transformer: from its class token to the 49 patches in the last block, averaged over its
  heads. It shows where the last block takes information from. It does not measure importance, because the blocks before
  have already mixed the patches (Jain & Wallace, https://arxiv.org/abs/1902.10186).
- Proposals, for Faster R-CNN: the regions that its first stage takes for objects, before the second stage reads them.
"""

import numpy as np

from ..answers import ModelExplanation, Proposal
from ..picture.framing import SIZE
from .predictor import Predictor
from .shapes import LARGEST

GRID = 7  # squares a side, each over one patch of the Vision Transformer
CELL = SIZE // GRID  # pixels from one square to the next
COVER = 8  # pixels a side of a covered square: as wide as two strokes, because a smaller one would only thin a stroke
DECIMALS = 3
LEAST = 0.0005  # lowest objectness that is shown; proposals that a better one covers have less


def explain(predictor: Predictor, image: np.ndarray, names: list[str], digit: int) -> dict[str, ModelExplanation]:
    """What the models `names` look at for `digit` in an image (28, 28) uint8, 0 background to 255 ink.

    Squares without ink are skipped, because covering them changes nothing.
    """
    covered, places = covered_images(image)
    images = np.concatenate([image[None, None], covered])
    maps = {name: np.zeros((GRID, GRID), np.float32) for name in names}
    probabilities: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for start in range(0, len(images), LARGEST):  # other requests run between these batches
        share = predictor.classify(images[start : start + LARGEST], names)
        for name in names:
            probabilities[name].append(share.probabilities(name)[:, digit])
    for name in names:
        whole, *without = np.concatenate(probabilities[name])
        for (row, column), share in zip(places, without, strict=True):
            maps[name][row, column] = whole - share
    return {name: _explanation(predictor, image, name, maps[name]) for name in names}


def covered_images(image: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """For each square of an image (28, 28) that holds ink, a copy with the square covered, and its row and column.

    The copies are (K, 1, 28, 28).
    """
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


def _explanation(predictor: Predictor, image: np.ndarray, name: str, occlusion: np.ndarray) -> ModelExplanation:
    said = predictor.explanations(image[None, None], name)
    attention = proposals = None
    if "attention" in said:
        attention = _listed(said["attention"][0].reshape(GRID, GRID))
    if "proposals" in said:
        found = zip(said["proposals"][0], said["objectness"][0], strict=True)
        proposals = [
            Proposal(box=[round(float(side), 1) for side in box], objectness=round(float(share), DECIMALS))
            for box, share in found
            if share >= LEAST
        ]
    return ModelExplanation(occlusion=_listed(occlusion), attention=attention, proposals=proposals)


def _listed(values: np.ndarray) -> list[list[float]]:
    return values.astype(float).round(DECIMALS).tolist()
