"""Training batches that mix all sources in the shares that a recipe gives."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from training.data import doodles, drawings, glyphs, mnist, omniglot, optdigits, uji, unipen
from training.data.writers import Source
from training.recipe import Sources

# The sources besides MNIST, by their names in a recipe's `Sources`.
LOAD: dict[str, Callable[[str, Path | str | None], Source]] = {
    "unipen": unipen.digits,
    "uji": uji.digits,
    "optdigits": optdigits.digits,
    "letters": unipen.letters,
    "omniglot": omniglot.letters,
    "doodles": doodles.drawings,
    "symbols": drawings.symbols,
    "sketches": drawings.doodles,
    "gestures": drawings.gestures,
    "typed": glyphs.typed,
    "capitals": glyphs.letters,
    "outlines": glyphs.doodles,
}


class Batches:
    """The training images. MNIST is one tensor on the device; images of the other sources are drawn for each batch."""

    def __init__(
        self,
        shares: Sources,
        batch_size: int,
        device: torch.device,
        root: Path | str | None = None,
        writers: Path | str | None = None,
    ) -> None:
        """root: folder of MNIST; writers: folder of the other sources; None: the default folders."""
        self.batch_size, self.device = batch_size, device
        self.counts = counts(shares, batch_size)
        self.images, self.labels = (tensor.to(device) for tensor in mnist.load("train", root))
        self.written = {name: LOAD[name]("train", writers) for name in self.counts if name != "mnist"}
        self.steps = len(self.images) // batch_size  # in one epoch
        self._order: tuple[tuple[int, int] | None, np.ndarray] = None, np.empty(0, int)  # of MNIST, in one epoch

    def batch(self, seed: int, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, 1, 28, 28) uint8, MNIST's first, and labels (B,). The same arguments give the same batch.

        In an epoch, no image of MNIST comes twice; those of the other sources are drawn with replacement.
        """
        if self._order[0] != (seed, epoch):
            self._order = (seed, epoch), np.random.default_rng([seed, epoch]).permutation(len(self.images))
        generator = np.random.default_rng([seed, epoch, step])
        first = step * self.counts["mnist"]
        chosen = torch.from_numpy(self._order[1][first : first + self.counts["mnist"]]).to(self.device)
        images, labels = [self.images[chosen]], [self.labels[chosen]]
        for name, source in self.written.items():
            rows = generator.integers(0, len(source), self.counts[name])
            images.append(torch.from_numpy(source.draw(rows, generator))[:, None].to(self.device))
            labels.append(torch.from_numpy(source.labels[rows]).to(self.device))
        return torch.cat(images), torch.cat(labels)


def counts(shares: Sources, batch_size: int) -> dict[str, int]:
    """The number of images of each source in a batch; MNIST fills what rounding leaves.

    Raises ValueError if the shares do not sum to 1 or leave no image to MNIST.
    """
    found = {name: round(share * batch_size) for name, share in asdict(shares).items() if name != "mnist"}
    found = {name: count for name, count in found.items() if count}
    left = batch_size - sum(found.values())
    if abs(sum(asdict(shares).values()) - 1) > 1e-6 or left < 1:
        raise ValueError(f"The shares of the sources must sum to 1 and leave a share to MNIST; found {shares}.")
    return {"mnist": left} | found
