"""The images that artefacts are measured on: MNIST, other writers' digits, and non-digits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from tqdm import tqdm

from service.picture.digit import canonicalise
from service.picture.ink import InkFinder
from training.data import doodles, drawings, glyphs, mnist, omniglot, optdigits, uji, unipen
from training.data.nondigits import several
from training.data.writers import Source
from training.recipe import NONE

SEED = 0  # for drawing strokes and composing frames of several digits


@dataclass(frozen=True)
class Images:
    """A set of images, all digits or all non-digits."""

    images: np.ndarray  # (N, 1, 28, 28) uint8
    labels: np.ndarray  # (N,) int64; NONE for non-digits
    kinds: np.ndarray | None = None  # (N,) str: the character that was written
    writers: int | None = None  # number of writers, if known

    @property
    def digits(self) -> bool:
        return bool((self.labels != NONE).all())


def of_mnist(root: Path | None, finder: InkFinder) -> Iterator[tuple[str, Images]]:
    """MNIST's validation and test images, scikit-learn's digits, and frames with several test images.

    The set "load_digits" has 1,797 digits of 8x8 pixels, prepared by the service's `canonicalise`.
    """
    for split in ("validation", "test"):
        images, labels = mnist.load(split, root)
        yield split, Images(images.numpy(), labels.numpy())
    small: Any = load_digits()
    seen = np.stack([canonicalise((image * (255 / 16)).astype(np.uint8), finder).image for image in small.images])
    yield "load_digits", Images(seen[:, None], small.target)
    yield "several", _several(mnist.load("test", root)[0])


def of_writers(writers: Path | None) -> Iterator[tuple[str, Images]]:
    """Digits and non-digits by the test writers, and signs and alphabets that no network is trained on.

    The number of writers of optdigits is from its authors. The number of people who drew the doodles is unknown.
    """
    yield "unipen", _drawn(unipen.digits("test", writers))
    yield "uji", _drawn(uji.digits("test", writers))
    yield "optdigits", _drawn(optdigits.digits("test", writers), optdigits.TEST_WRITERS)
    yield "letters", _drawn(unipen.letters("test", writers))
    yield "omniglot", _drawn(omniglot.letters("test", writers))
    yield "doodles", replace(_drawn(doodles.drawings("test", writers)), writers=None)
    # To fit what is accepted, not to be measured on.
    yield "unipen_validation", _drawn(unipen.digits("validation", writers))
    yield "unseen_signs", _drawn(unipen.unseen_signs(writers))
    yield "unseen_alphabets", _drawn(omniglot.unseen_alphabets(writers))


def of_foreign(writers: Path | None) -> Iterator[tuple[str, Images]]:
    """Symbols, doodles, gestures and typed signs of kinds that no network is trained on. Missing sets are left out."""
    kinds = {
        "unseen_symbols": drawings.unseen_symbols,
        "unseen_sketches": drawings.unseen_doodles,
        "unseen_gestures": drawings.unseen_gestures,
        "unseen_typed": glyphs.unseen_typed,
    }
    for title, load in kinds.items():
        try:
            yield title, replace(_drawn(load(writers)), writers=None)
        except FileNotFoundError as error:
            tqdm.write(f"The set {title} is left out: {error}")


def _drawn(source: Source, writers: int | None = None) -> Images:
    images = source.draw(np.arange(len(source)), np.random.default_rng(SEED))[:, None]
    return Images(images, source.labels, source.kinds, writers or len(np.unique(source.writers)))


def _several(images: torch.Tensor) -> Images:
    """As many frames as images, each with two or three of the images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = (several(mnist.to_unit(images)) * 255).round().to(torch.uint8).numpy()
    return Images(made, np.full(len(made), NONE))
