"""Check that an exported file gives PyTorch's answers."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch

from training.data import mnist
from training.loop.validation import BATCH
from training.release.graph import Classifier

TOLERANCE = 1e-4  # largest difference of a probability
BOX_TOLERANCE = 0.25  # pixels: two boxes on one digit whose scores are equal to seven decimals may swap their order
SURE = 0.5  # score; both must find the boxes above it


def check_parity(graph: Classifier, path: Path, images: torch.Tensor) -> None:
    """Compare PyTorch and onnxruntime on batch sizes other than the traced one, and on blank images.

    images: (N, 1, 28, 28) uint8, at least 65. Raises RuntimeError with the largest difference if they disagree.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    pages = [images[:1], images[1:65], torch.zeros(2, 1, mnist.SIZE, mnist.SIZE, dtype=torch.uint8)]
    if len(graph.outputs) > 1:
        rows = torch.cat([images[i : i + 6].transpose(0, 2).reshape(1, 1, mnist.SIZE, -1) for i in range(0, 48, 6)])
        pages += [rows, torch.nn.functional.pad(rows[:1], (9, 30, 50, 21))]
    for page in pages:
        with torch.no_grad():
            expected = graph(page)
        expected = [t.numpy() for t in (expected if isinstance(expected, tuple) else (expected,))]
        found = [np.asarray(output) for output in session.run(list(graph.outputs), {"images": page.numpy()})]
        largest = np.abs(expected[0] - found[0]).max()
        if largest > TOLERANCE:
            raise RuntimeError(f"{path}: probabilities differ from PyTorch's by {largest:.2g}; allowed: {TOLERANCE}.")
        if len(graph.outputs) > 1:
            _check_boxes(expected[1:], found[1:], path)


def check_accuracy(path: Path, images: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor) -> None:
    """Check that the file reads at most one image fewer than PyTorch. Raises RuntimeError otherwise.

    images: (N, 1, 28, 28) uint8; labels: (N,); logits: PyTorch's, (N, 10).
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    parts = images.split(BATCH)
    found = [np.asarray(session.run(["probabilities"], {"images": part.numpy()})[0]) for part in parts]
    right = int((np.concatenate(found).argmax(1) == labels.numpy()).sum())
    expected = int((logits.argmax(1) == labels).sum())
    if right < expected - 1:
        message = f"reads {right} of {len(images)} validation images correctly, but PyTorch reads {expected}"
        raise RuntimeError(f"{path}: {message}.")


def _check_boxes(expected: list[np.ndarray], found: list[np.ndarray], path: Path) -> None:
    """Check that the boxes above SURE are the same, in the same order, with the same classes. Raises RuntimeError."""
    sure, still_sure = expected[1].max(2) > SURE, found[1].max(2) > SURE
    if (sure != still_sure).any():
        raise RuntimeError(f"{path}: finds {still_sure.sum()} boxes where PyTorch finds {sure.sum()}.")
    if (expected[1].argmax(2) != found[1].argmax(2))[sure].any():
        raise RuntimeError(f"{path}: gives boxes other classes than PyTorch.")
    largest = np.abs(expected[0] - found[0])[sure].max(initial=0)
    if largest > BOX_TOLERANCE:
        raise RuntimeError(f"{path}: boxes differ from PyTorch's by {largest:.2g} pixels; allowed: {BOX_TOLERANCE}.")
