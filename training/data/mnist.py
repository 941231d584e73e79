"""MNIST as whole tensors, and its split into images for training, validation and test."""

import gzip
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import MNIST

from training.data.writers import Source, check_split

SIZE = 28  # pixels a side
HELD_OUT = 12  # every twelfth training image is for validation: 5,000 of the 60,000, spread over all writers


def load(split: str, root: Path | str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Read one split: "train" (55,000), "validation" (5,000) or "test" (10,000).

    Returns images (N, 1, 28, 28) uint8, 0 background to 255 ink, and labels (N,) int64.
    `root` defaults to the environment's MNIST_ROOT, else data/. torchvision downloads missing files.
    Raises ValueError for an unknown split, FileNotFoundError if the files are missing and cannot be downloaded.
    """
    check_split(split)
    root = Path(root or os.environ.get("MNIST_ROOT") or "data")
    files = root / "MNIST" / "raw"
    prefix = "t10k" if split == "test" else "train"
    if not list(files.glob(f"{prefix}-images-idx3-ubyte*")):
        try:
            MNIST(root, download=True)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"{str(root)!r} does not hold MNIST, and the download failed; set MNIST_ROOT to its folder."
            ) from error
    images = torch.from_numpy(_read(files / f"{prefix}-images-idx3-ubyte", header=16))
    images = images.view(-1, 1, SIZE, SIZE)
    labels = torch.from_numpy(_read(files / f"{prefix}-labels-idx1-ubyte", header=8)).long()
    if split == "test":
        return images, labels
    held_out = torch.arange(len(images)) % HELD_OUT == HELD_OUT - 1
    keep = held_out if split == "validation" else ~held_out
    return images[keep], labels[keep]


def watched(root: Path | str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """100 validation images and labels, ten of each digit: those least like the mean of their digit, so not easy."""
    images, labels = load("validation", root)
    chosen = []
    for digit in range(10):
        rows = torch.nonzero(labels == digit)[:, 0]
        values = to_unit(images[rows]).flatten(1)
        chosen.append(rows[(values - values.mean(0)).square().sum(1).argsort(descending=True, stable=True)[:10]])
    rows = torch.cat(chosen)
    return images[rows], labels[rows]


def digits(split: str, root: Path | str | None = None) -> Source:
    """The same as a source, whose images are always alike. MNIST does not say who wrote them, so every writer is 0."""
    images, labels = (values.numpy() for values in load(split, root))
    return Source(partial(take, images[:, 0]), labels, labels.astype(str), np.zeros(len(labels), int))


def take(images: np.ndarray, rows: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The rows of images that are not drawn: the `draw` of a `Source`."""
    return images[rows]


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """Convert images (N, 1, H, W) from uint8, 0 to 255, to float32, 0 to 1: the input of every network."""
    return images.float() / 255


def _read(path: Path, header: int) -> np.ndarray:
    """The bytes after the header of an IDX file (http://yann.lecun.com/exdb/mnist), compressed or not."""
    content = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    return np.frombuffer(bytearray(content), np.uint8, offset=header)
