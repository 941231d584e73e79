"""What a network's file imports: the settings of a training run, its usual loss, and pretrained initial weights.

A recipe is a frozen dataclass. Each network's file holds its own; a run records all of its values.
"""

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import WeightsEnum

NONE = -1  # the label of an image that is no digit
FEATURES = "features."  # prefix of the pretrained convolutions in a state dict


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training run. The optimiser is AdamW with torch's OneCycleLR, which also cycles beta1.

    The result is an exponential moving average of the weights.
    """

    epochs: int
    batch_size: int
    lr: float  # peak of the one-cycle schedule
    weight_decay: float = 0.02  # of parameters with two or more dimensions, so not of biases and norm layers
    warmup: float = 0.25  # share of all steps before the peak
    ema: float = 0.998  # decay per step of the averaged weights
    clip: float | None = None  # largest norm of the gradient; None: no limit
    weights: str | None = None  # initial weights: "imagenet", the path of a state dict or of a run's, or None


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The share of each source in a batch; the shares sum to 1.

    An ablation (docs/training.md) shows the gain from other writers and letters. The shares were not tuned further.
    """

    mnist: float = 0.52
    unipen: float = 0.14  # digits of 185 writers of eight countries
    uji: float = 0.02  # digits of 42 Spanish writers
    optdigits: float = 0.04  # digits of 30 Turkish writers
    letters: float = 0.20  # UNIPEN's letters and signs, non-digits
    omniglot: float = 0.06  # characters of six alphabets, non-digits
    doodles: float = 0.02  # cats, rainbows, trains, non-digits
    symbols: float = 0.0  # Detexify's, non-digits, as all that follow
    sketches: float = 0.0  # Quick, Draw!'s of 201 categories
    gestures: float = 0.0  # the $1 recogniser's
    typed: float = 0.0  # letters, signs, smileys
    capitals: float = 0.0  # CoMNIST's
    outlines: float = 0.0  # apples, bicycles, diamonds, eyes, fishes


MNIST_ALONE = Sources(**{f.name: 0.0 for f in fields(Sources)} | {"mnist": 1.0})


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How much and how often training images are moved and degraded; None leaves a step out.

    An amount is the half-width of a uniform distribution unless its comment says otherwise.
    """

    rotate: float = 15.0  # degrees
    shear: float = 0.2  # columns per row
    scale: float = 0.15  # logarithm of the factor, drawn for each axis
    shift: float = 2.0  # pixels, drawn for each axis
    elastic: float = 1.2  # pixels, standard deviation of a smooth displacement field
    stroke: float | None = 0.3  # probability of a thicker or thinner pen
    outline: float | None = 0.04  # probability of keeping only the edges of the strokes
    smear: float | None = 0.08  # probability of a blur along a line, up to 4 pixels each way
    jitter: float | None = 0.05  # probability of displacing each pixel by a pixel or two
    specks: float | None = 0.06  # probability of spots, of ink or of paper
    lines: float | None = 0.1  # probability of one to three strokes across: straight, zigzag or dotted
    fog: float | None = 0.1  # probability of grey paper, even or cloudy
    stripe: float | None = 0.04  # probability of a band with ink and paper inverted

    def times(self, factor: float) -> "Augment":
        """The same settings, with every number multiplied by `factor`."""
        knobs = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: None if knob is None else knob * factor for name, knob in knobs.items()})


@dataclass(frozen=True, kw_only=True)
class DigitRecipe(Recipe):
    """A run of a network that names digits (`training.digits`).

    An epoch has 55,000 images of all sources, as many as MNIST's training split.
    """

    mild_epochs: int = 2  # number of last epochs with milder augmentation
    mild: float = 0.4  # factor of `augment` in these epochs
    sources: Sources = field(default_factory=Sources)
    augment: Augment = field(default_factory=Augment)
    several: float | None = 0.02  # share of a batch in which several MNIST digits in one frame are a non-digit


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean loss of a batch: logits (N, 10), labels (N,) int64, NONE for a non-digit.

    A digit's loss is the negative log-likelihood of its label; a non-digit's is the mean of it over all ten digits.
    """
    log_probabilities = logits.float().log_softmax(1)
    of_digit = log_probabilities.gather(1, labels.clamp(min=0)[:, None])[:, 0]
    return -torch.where(labels == NONE, log_probabilities.mean(1), of_digit).mean()


def initialise(network: nn.Module, name: str, source: str | None) -> str:
    """Load initial weights into the network `name`. Returns their name for the artefact's metadata.

    source: None for random weights, the path of a run's averaged.pt, else the argument of the network's `load_weights`.
    Raises FileNotFoundError if the weights are missing, ValueError if they do not fit.
    """
    if source is None:
        return "random"
    if (trained := run_of(source)) is not None:
        settings = trained["settings"]
        if settings["name"] != name:
            raise ValueError(f"{source} is a run of {settings['name']}, not of {name}.")
        network.load_state_dict(trained["network"])
        return f"{name}, {settings['recipe']['epochs']} epochs, seed {settings['seed']}"
    if not hasattr(network, "load_weights"):
        raise ValueError(f"{name} has no pretrained weights; use --weights none.")
    load: Any = network.load_weights
    load(source)
    return "ImageNet" if source == "imagenet" else Path(source).stem


def run_of(source: str) -> dict[str, Any] | None:
    """What a run wrote into averaged.pt; None if `source` is no such file."""
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception:  # torch.load raises errors of many types for other files
        return None
    return content if isinstance(content, dict) and {"network", "settings"} <= content.keys() else None


def features_from(source: str, name: str, imagenet: WeightsEnum) -> dict[str, Any]:
    """The state dict of the `features` of the network `name`.

    source: "imagenet" reads NAME_imagenet_features.pt in the environment's IMAGENET_ROOT if it exists, and downloads
    torchvision's `imagenet` weights otherwise. Any other source is the path of a state dict; its entries under
    `features.` are used.
    Raises FileNotFoundError if the weights are missing, ValueError if the file has no such entries.
    """
    local = Path(os.environ.get("IMAGENET_ROOT") or "data/imagenet") / f"{name}_imagenet_features.pt"
    if source == "imagenet" and local.is_file():
        source = str(local)
    if source == "imagenet":
        try:
            state = imagenet.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise FileNotFoundError(
                f"ImageNet weights could not be downloaded ({error}); put {local.name} into IMAGENET_ROOT, or name a "
                f"local state dict with --weights FILE."
            ) from error
    elif Path(source).is_file():
        try:
            state = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises errors of many types for other files
            raise ValueError(f"--weights {source!r} is not a state dict that PyTorch can load.") from error
    else:
        raise FileNotFoundError(
            f"--weights {source!r} does not exist; use 'imagenet', 'none' or the path of a state dict."
        )
    if not isinstance(state, dict) or not any(key.startswith(FEATURES) for key in state):
        raise ValueError(f"--weights {source!r} has no entries under {FEATURES!r}.")
    return {key.removeprefix(FEATURES): value for key, value in state.items() if key.startswith(FEATURES)}
