"""MNIST as whole tensors, and the one split that everything here is trained, chosen and tested on."""

import gzip
import os
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import MNIST

SIZE = 28  # pixels a side
HELD_OUT = 12  # every twelfth training image validates: 5,000 of the 60,000, spread over all writers
SPLITS = ("train", "validation", "test")


def load(split: str, root: Path | str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Read one split: "train" (55,000), "validation" (5,000) or "test" (10,000).

    Returns images (N, 1, 28, 28) uint8, 0 background to 255 ink, and labels (N,) int64.
    `root` defaults to the environment's MNIST_ROOT, else data/; torchvision downloads what is not there.
    Raises ValueError for another split, FileNotFoundError if the files are neither there nor to be had.
    """
    if split not in SPLITS:
        raise ValueError(f"Unknown split {split!r}; known splits: {', '.join(SPLITS)}.")
    root = Path(root or os.environ.get("MNIST_ROOT") or "data")
    files = root / "MNIST" / "raw"
    prefix = "t10k" if split == "test" else "train"
    if not list(files.glob(f"{prefix}-images-idx3-ubyte*")):
        try:
            MNIST(root, download=True)
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"MNIST is not in {str(root)!r} and could not be downloaded; set MNIST_ROOT to where it is."
            ) from error
    images = torch.from_numpy(_read(files / f"{prefix}-images-idx3-ubyte", header=16))
    images = images.view(-1, 1, SIZE, SIZE)
    labels = torch.from_numpy(_read(files / f"{prefix}-labels-idx1-ubyte", header=8)).long()
    if split == "test":
        return images, labels
    held_out = torch.arange(len(images)) % HELD_OUT == HELD_OUT - 1
    keep = held_out if split == "validation" else ~held_out
    return images[keep], labels[keep]


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) uint8, 0 to 255, to float32, 0 background to 1 ink: what every network takes."""
    return images.float() / 255


def _read(path: Path, header: int) -> np.ndarray:
    """The bytes after the header of an IDX file, unpacked or not, http://yann.lecun.com/exdb/mnist."""
    content = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
    return np.frombuffer(bytearray(content), np.uint8, offset=header)
