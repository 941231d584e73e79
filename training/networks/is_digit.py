"""Whether an image shows one clean digit: a small residual network (He et al., https://arxiv.org/abs/1512.03385).

The networks that name digits know ten answers, and give one of them to a smiley too. This one learns all digits against
what is no digit: letters, symbols, doodles, photographs, digits in a ring or struck out. It has eleven answers, because
a 1 and an 8 have little in common; the score is how likely the ten digits are together.

    quintet train is_digit
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import nn

from training.data import mnist
from training.data.augmentation import degrade, move
from training.data.batches import LOAD
from training.data.writers import Source
from training.digits import BATCH, SEED
from training.layers import stages
from training.recipe import NONE, Augment, Recipe
from training.scenes import marred, seen
from training.task import Data, Graph, Task

IN_8_BITS = True
WIDTHS = (48, 96, 128)  # channels of the stages; a square of two by two pixels is one place: 14, 7 and 3 a side
DIGITS = 10
UNKNOWN = -100  # label of a non-digit that nobody could tell from a 1; torch's cross_entropy leaves it out
MOST = 3000  # validation images of each source
# Shares of MNIST's and of UNIPEN's validation digits, of which a threshold may refuse neither.
REFUSED = {"mnist": 0.002, "unipen": 0.008}
OTHERS = "no digit: "
WORSE = 0.01  # of what is no digit: the file in 8 bits may accept so much more
MODELS = Path("models")  # the folder of the ink network, through which photographs are seen


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The share of each source in a batch, in any unit. Digits are a little less than half.

    A source is left out where its files are missing: typed signs, CoMNIST and the wallpapers cannot be fetched.
    """

    mnist: float = 20
    unipen: float = 14
    uji: float = 2
    optdigits: float = 2
    styled: float = 4  # slashed zeros, ones with an upstroke, crossed sevens, typed digits
    letters: float = 12
    omniglot: float = 5
    doodles: float = 1
    symbols: float = 11
    sketches: float = 4
    gestures: float = 2
    typed: float = 4
    capitals: float = 0.5
    outlines: float = 2
    marred: float = 10  # digits in rings and boxes, between lines, struck out, several, with letters; scribbles
    seen: float = 12  # photographs, textures, drawings and digits on paper, by way of the ink network


@dataclass(frozen=True, kw_only=True)
class IsDigitRecipe(Recipe):
    steps: int = 430  # of an epoch
    shares: Shares = field(default_factory=Shares)
    # Without lines and stripes: a digit that is struck out is no clean digit.
    augment: Augment = field(
        default_factory=lambda: Augment(
            rotate=10.0, shear=0.1, scale=0.1, shift=1.5, elastic=0.8, outline=None,
            smear=0.04, jitter=0.02, specks=0.02, lines=None, fog=0.03, stripe=None,
        )
    )  # fmt: skip


RECIPE = IsDigitRecipe(epochs=22, batch_size=128, lr=4e-3)


def sources(split: str, data: Data) -> dict[str, Source]:
    """The sources of a split whose files are there, by their names in `Shares`."""
    load: dict[str, Callable[[], Source]] = {
        "mnist": partial(mnist.digits, split, data.root),
        "styled": partial(marred.styled, split, data.root),
        "marred": partial(marred.pictures, split, data.root, data.writers),
        "seen": partial(_seen, split, data),
    }
    load |= {name: partial(function, split, data.writers) for name, function in LOAD.items()}
    found = {}
    for name in asdict(Shares()):
        try:
            found[name] = load[name]()
        except FileNotFoundError as error:
            if name in ("mnist", "unipen"):
                raise
            print(f"is_digit goes without {name}: {error}", flush=True)
    return found


def _seen(split: str, data: Data) -> Source:
    seen.make(MODELS, data.root, data.writers)
    return seen.load(split)


class IsDigit(Task):
    """A batch is images (N, 1, 28, 28) float32 in 0 to 1 and labels (N,) int64, which may be NONE or UNKNOWN."""

    recipe: IsDigitRecipe

    @cached_property
    def sources(self) -> dict[str, Source]:
        return sources("train", self.data)

    @cached_property
    def validation(self) -> dict[str, tuple[torch.Tensor, np.ndarray]]:
        """Images (N, 1, 28, 28) uint8 and labels (N,) of each source. Strokes are drawn once."""
        found = {}
        for name, source in sources("validation", self.data).items():
            images, labels = source.some(MOST, SEED)
            found[name] = torch.from_numpy(images), labels
        return found

    def batch(self, seed: int, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator = np.random.default_rng([seed, epoch, step])
        shares = np.array([getattr(self.recipe.shares, name) for name in self.sources])
        counts = generator.multinomial(self.recipe.batch_size, shares / shares.sum())
        images, labels = [], []
        for source, count in zip(self.sources.values(), counts, strict=True):
            rows = generator.integers(0, len(source), count)
            images.append(source.draw(rows, generator))
            labels.append(source.labels[rows])
        drawn, named = np.concatenate(images), np.concatenate(labels)
        for row in np.flatnonzero(named == NONE):  # UNIPEN's letters are at times a single stroke of what was written
            if seen.is_upright_stroke(drawn[row]):
                named[row] = UNKNOWN
        pictures = mnist.to_unit(torch.from_numpy(drawn)[:, None].to(self.device))
        augment = self.recipe.augment
        return degrade(move(pictures, augment), augment), torch.from_numpy(named).to(self.device)

    def loss(self, network: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        images, labels = batch
        return F.cross_entropy(network(images).float(), torch.where(labels == NONE, DIGITS, labels))

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The share of each source that is refused at the shares REFUSED of digits; see `refused`."""
        scores = {name: self.scores(network, images) for name, (images, _) in self.validation.items()}
        return refused(scores, {name: labels for name, (_, labels) in self.validation.items()})

    @torch.no_grad()
    def scores(self, network: nn.Module, images: torch.Tensor) -> np.ndarray:
        """How much more likely than not each image (N, 1, 28, 28) uint8 is a digit, as a logarithm: (N,)."""
        network.eval()
        parts = [score(network(mnist.to_unit(part.to(self.device))).float()) for part in images.split(BATCH)]
        return torch.cat(parts).cpu().numpy()

    def graph(self, network: nn.Module) -> "Scorer":
        """The network with the scale and the offset that make its score a probability on validation images."""
        scores, there = [], []
        for images, labels in self.validation.values():
            scores.append(self.scores(network, images))
            there.append(labels != NONE)
        graph = Scorer(network, *calibrated(np.concatenate(scores), np.concatenate(there)))
        graph.properties["data"] = ", ".join(f"{name} {share:g}" for name, share in asdict(self.recipe.shares).items())
        graph.validation = self.validation
        return graph


TASK = IsDigit


def refused(scores: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> dict[str, float]:
    """The share of each source that is refused if of MNIST's and UNIPEN's digits no more than REFUSED may be.

    scores and labels: (N,) of each source. A source with both has its digits under its name, the others under OTHERS
    and its name.
    """
    threshold = min(float(np.quantile(scores[name], share)) for name, share in REFUSED.items())
    found = {}
    for name, named in labels.items():
        for title, chosen in ((name, named != NONE), (OTHERS + name, named == NONE)):
            if chosen.any():
                found[title] = float((scores[name][chosen] < threshold).mean())
    return found


def score(logits: torch.Tensor) -> torch.Tensor:
    """The logarithm of the odds of a digit, (N,), from eleven logits (N, 11)."""
    return logits[:, :DIGITS].logsumexp(1) - logits[:, DIGITS]


def calibrated(scores: np.ndarray, digit: np.ndarray) -> tuple[float, float]:
    """Scale and offset of scores (N,) whose logistic function is a probability (J. Platt, 1999); digit: (N,) bool.

    Digits and non-digits count half each.
    """
    weights = np.where(digit, 0.5 / digit.mean(), 0.5 / (1 - digit.mean()))

    def loss(scale_and_offset: np.ndarray) -> float:
        log_odds = scale_and_offset[0] * scores + scale_and_offset[1]
        return float((weights * np.logaddexp(0, np.where(digit, -log_odds, log_odds))).mean())

    scale, offset = minimize(loss, (1.0, 0.0), method="Nelder-Mead").x
    return float(scale), float(offset)


class Scorer(Graph):
    """images (N, 1, 28, 28) uint8, 0 background to 255 ink -> is_digit (N,) float32, 0 to 1."""

    outputs = ("is_digit",)
    tolerance = 1e-4

    def __init__(self, network: nn.Module, scale: float, offset: float) -> None:
        super().__init__()
        self.network, self.scale, self.offset = network, scale, offset
        self.examples = {"images": torch.randint(0, 256, (3, 1, mnist.SIZE, mnist.SIZE), dtype=torch.uint8)}
        self.dynamic = {"images": {0: torch.export.Dim("N", min=1)}}
        self.properties: dict[str, Any] = {
            "scale": round(scale, 4),
            "offset": round(offset, 4),
            "input": "images uint8 (N, 1, 28, 28), 0 background to 255 ink",
            "output": "is_digit float32 (N,), how likely each image is one clean digit; digits and others half each",
        }
        self.validation: dict[str, tuple[torch.Tensor, np.ndarray]] = {}  # as that of `IsDigit`

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (score(self.network(mnist.to_unit(images))) * self.scale + self.offset).sigmoid()

    def trials(self) -> list[dict[str, torch.Tensor]]:
        blank = torch.zeros(2, 1, mnist.SIZE, mnist.SIZE, dtype=torch.uint8)
        some = torch.cat([images[:20] for images, _ in self.validation.values()])
        return [{"images": images} for images in (some[:1], some[1:], blank)]

    def samples(self) -> list[dict[str, np.ndarray]]:
        return [{"images": images[:40].numpy()} for images, _ in self.validation.values()]

    def check_8_bits(self, path: Path) -> None:
        """Raise RuntimeError if the file refuses less of what is no digit, at the same shares of refused digits."""
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def mean(answer: Callable[[torch.Tensor], np.ndarray]) -> float:
            parts = {name: images.split(BATCH) for name, (images, _) in self.validation.items()}
            scores = {name: np.concatenate([answer(part) for part in some]) for name, some in parts.items()}
            found = refused(scores, {name: labels for name, (_, labels) in self.validation.items()})
            return float(np.mean([share for title, share in found.items() if title.startswith(OTHERS)]))

        with torch.no_grad():
            expected = mean(lambda images: self(images).numpy())
        found = mean(lambda images: np.asarray(session.run(["is_digit"], {"images": images.numpy()})[0]))
        if found < expected - WORSE:
            raise RuntimeError(f"{path}: refuses {found:.1%} of what is no digit, but PyTorch {expected:.1%}.")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = stages(4, WIDTHS)  # (N, 128, 3, 3)
        self.head = nn.Linear(WIDTHS[-1], DIGITS + 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """images (N, 1, 28, 28) float32, 0 background to 1 ink -> logits (N, 11), of the ten digits and of none."""
        return self.head(self.features(F.pixel_unshuffle(images, 2)).mean((2, 3)))
