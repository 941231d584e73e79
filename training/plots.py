"""The pictures of docs/results.md, and the test images that the page /results shows."""

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix

from service.inference.artefact import open_artefact
from training.measure.detection import find
from training.measure.detection import pages as compose_pages
from training.records import CONSENSUS, Recorded

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

HARDEST = 24  # digits shown
PAGES = 6  # pages shown
SURE = 0.5  # score above which a box is drawn
DPI = 110
COLUMNS = 20  # images in a row of misread.png
SHOWN = 40  # images that the page shows as the hardest, with the lowest probability of their label by the consensus
BINS = 10  # bins of confidence


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def curves(runs: list[dict[str, Any]], path: Path) -> None:
    """For each network, the loss in training (dotted) and on MNIST validation, and the validation error by source."""
    figure, axes = plt.subplots(2, max(len(runs), 1), figsize=(3.2 * max(len(runs), 1), 5), squeeze=False)
    for column, run in enumerate(runs):
        above, below = axes[:, column]
        epochs = [line["epoch"] for line in run["metrics"]]
        validation = [line["validation"] for line in run["metrics"]]
        above.plot(epochs, [said["mnist"]["loss"] for said in validation])
        above.plot(epochs, [line["train_loss"] for line in run["metrics"]], ":", color="C0")
        for name in (name for name, said in validation[-1].items() if "accuracy" in said):
            below.plot(epochs, [100 * (1 - said[name]["accuracy"]) for said in validation], label=name)
        above.set(title=run["name"], yscale="log")
        below.set(yscale="log", xlabel="epoch")
        below.yaxis.set_major_formatter("{x:g}")
        below.yaxis.set_minor_formatter("{x:g}")
        below.tick_params(axis="y", which="both", labelsize=6)
        below.legend(fontsize=6)
    axes[0, 0].set_ylabel("loss (dotted: training)")
    axes[1, 0].set_ylabel("validation error, %")
    _save(figure, path)


def confusions(recorded: Recorded, path: Path) -> None:
    """The confusion matrices of each model and of the consensus, without the diagonal."""
    names, labels = [*recorded.names, CONSENSUS], recorded.probabilities["labels"]
    figure, axes = plt.subplots(2, (len(names) + 1) // 2, figsize=(10, 7), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names, strict=False):
        counts = confusion_matrix(labels, recorded.probabilities[name].argmax(1), labels=range(10))
        wrong = counts - np.diag(counts.diagonal())
        axis.imshow(wrong, cmap="Reds", vmin=0, vmax=6)
        for truth, digit in np.argwhere(wrong):
            axis.text(digit, truth, wrong[truth, digit], ha="center", va="center", fontsize=7)
        axis.set(title=f"{name}: {wrong.sum()} wrong", xticks=range(10), yticks=range(10), xlabel="read", ylabel="is")
    figure.tight_layout()
    _save(figure, path)


def hardest(recorded: Recorded, images: np.ndarray, path: Path) -> None:
    """The test digits with the lowest probability of their label by the consensus, with each model's answer."""
    labels = recorded.probabilities["labels"]
    order = recorded.probabilities[CONSENSUS][np.arange(len(labels)), labels].argsort()[:HARDEST]
    figure, axes = plt.subplots(4, HARDEST // 4, figsize=(11, 9.5))
    for axis, index in zip(axes.flat, order, strict=True):
        said = [recorded.probabilities[name][index] for name in recorded.names]
        axis.imshow(images[index, 0], cmap="gray_r")
        lines = [f"{n} {p.argmax()} ({p.max():.2f})" for n, p in zip(recorded.names, said, strict=True)]
        axis.set_xlabel("\n".join(lines), fontsize=6.5)
        axis.set(title=f"{labels[index]}  (no. {index})", xticks=[], yticks=[])
    figure.tight_layout(h_pad=1.5)
    _save(figure, path)


def latencies(recorded: Recorded, path: Path) -> None:
    """Test error, with a 95 % interval (normal approximation), against the median latency of one image."""
    figure, axis = plt.subplots(figsize=(6, 4))
    for name in (*recorded.names, CONSENSUS):
        latency, error = recorded.latency(name), 100 * (1 - recorded.measured[name]["test"]["accuracy"])
        if latency is None:
            continue
        interval = 1.96 * np.sqrt(error * (100 - error) / len(recorded.probabilities["labels"]))
        axis.errorbar(latency, error, interval, fmt="o", capsize=3, label=name)
    axis.set(xscale="log", xlabel="milliseconds for one image (median)", ylabel="test error, % (95 % interval)")
    axis.margins(x=0.3, y=0.15)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    _save(figure, path)


def pages(recorded: Recorded, models: Path, images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """The first pages of the detection test with the boxes that each detector found."""
    names = [name for name in recorded.names if "detection" in recorded.measured[name]]
    canvases = compose_pages(torch.from_numpy(images), torch.from_numpy(labels))[0][:PAGES]
    figure, axes = plt.subplots(
        max(len(names), 1), PAGES, figsize=(2.4 * PAGES, 2.6 * max(len(names), 1)), squeeze=False
    )
    for name, line in zip(names, axes, strict=False):
        boxes, scores = find(open_artefact(models / f"{name}.onnx", "cpu", 1).session, canvases)
        for page, axis in enumerate(line):
            axis.imshow(canvases[page, 0].numpy(), cmap="gray_r")
            for box, score in zip(boxes[page], scores[page], strict=True):
                if score.max() >= SURE:
                    x_min, y_min, x_max, y_max = box
                    axis.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, color="C0"))
                    axis.text(x_min, y_min - 1, f"{score.argmax()}", color="C0", fontsize=9)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    _save(figure, path)


def browse(probabilities: dict[str, np.ndarray], images: np.ndarray, results: Path) -> None:
    """Write results/browse.json and results/misread.png.

    The picture does not have all of MNIST, which we do not publish. It has the images that a network or the consensus
    misreads, and the hardest ones, COLUMNS in a row.

    probabilities: {name: (N, 10), "labels": (N,)}; images: (N, 1, 28, 28) uint8.
    """
    labels = probabilities["labels"].astype(int)
    said = {name: values.astype(np.float64) for name, values in probabilities.items() if name != "labels"}
    hardest = np.argsort(said["consensus"][np.arange(len(labels)), labels], kind="stable")[:SHOWN]
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
    sheet(images[shown], results / "misread.png")


def sheet(images: np.ndarray, path: Path) -> None:
    """Write images (N, 1, 28, 28) uint8 as one picture, COLUMNS in a row."""
    picture = np.zeros((-(-len(images) // COLUMNS) * 28, COLUMNS * 28), np.uint8)
    for place, image in enumerate(images):
        y, x = (28 * side for side in divmod(place, COLUMNS))
        picture[y : y + 28, x : x + 28] = image[0]
    Image.fromarray(picture).save(path, optimize=True)


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
