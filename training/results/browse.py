"""The test images on the page /results: results/browse.json and results/misread.png.

`training.report` writes them from results/test_probabilities.npz. The picture does not have all of MNIST, which we do
not publish. It has the images that a network or the consensus misreads, and the hardest ones, 20 in a row.
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.metrics import confusion_matrix

COLUMNS = 20  # images in a row of misread.png
HARDEST = 40  # number of images with the lowest probability of their label by the consensus
BINS = 10  # bins of confidence


def write(probabilities: dict[str, np.ndarray], images: np.ndarray, results: Path) -> None:
    """Write both files. probabilities: {name: (N, 10), "labels": (N,)}; images: (N, 1, 28, 28) uint8, same order."""
    labels = probabilities["labels"].astype(int)
    said = {name: values.astype(np.float64) for name, values in probabilities.items() if name != "labels"}
    hardest = np.argsort(said["consensus"][np.arange(len(labels)), labels], kind="stable")[:HARDEST]
    misread = np.flatnonzero(np.any([values.argmax(1) != labels for values in said.values()], axis=0))
    shown = sorted({*misread.tolist(), *hardest.tolist()})
    content = {
        "models": {name: _figures(values, labels) for name, values in said.items()},
        "columns": COLUMNS,
        "images": [
            {
                "index": index,
                "label": int(labels[index]),
                "says": {
                    name: [int(values[index].argmax()), round(float(values[index].max()), 4)]
                    for name, values in said.items()
                },
            }
            for index in shown
        ],
        "hardest": [shown.index(index) for index in hardest.tolist()],
    }
    (results / "browse.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")
    sprite = np.zeros((-(-len(shown) // COLUMNS) * 28, COLUMNS * 28), np.uint8)
    for place, index in enumerate(shown):
        y, x = (28 * side for side in divmod(place, COLUMNS))
        sprite[y : y + 28, x : x + 28] = images[index, 0]
    Image.fromarray(sprite).save(results / "misread.png", optimize=True)


def _figures(probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """The confusion matrix, one row per label; and the count, mean confidence and accuracy of each confidence bin."""
    digits, confidence = probabilities.argmax(1), probabilities.max(1).clip(0, 1)
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    calibration = []
    for place in range(BINS):
        chosen = places == place
        if chosen.any():
            right = (digits == labels)[chosen].mean()
            calibration.append([int(chosen.sum()), round(float(confidence[chosen].mean()), 4), round(float(right), 4)])
    matrix = confusion_matrix(labels, digits, labels=range(10))
    return {"confusion": matrix.tolist(), "calibration": calibration}
