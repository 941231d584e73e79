"""What a run needs to know: every knob of a training run, in one frozen dataclass beside its network."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How far a training digit may be moved from the one on file; None leaves a step out.

    Amounts are half-widths of uniform distributions unless the comment says otherwise.
    """

    rotate: float = 15.0  # degrees
    shear: float = 0.2  # horizontal shift per row of height
    scale: float = 0.15  # share, each axis on its own
    shift: float = 2.0  # pixels, each axis
    elastic: float = 1.2  # pixels, standard deviation of a smooth displacement field
    stroke: float | None = 0.3  # probability that the pen is made thicker or thinner
    contrast: float | None = 0.3  # probability of a gamma curve and a paler ink
    blur: float | None = 0.15  # probability of a loss of resolution
    noise: float | None = 0.15  # probability of grain, up to 0.15 of full ink
    erase: float | None = 0.1  # probability of a rectangle rubbed out, up to 8 pixels a side


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of one training run: AdamW, torch's OneCycleLR (which cycles beta1 too), averaged weights."""

    epochs: int
    batch_size: int
    lr: float  # peak of the one-cycle schedule
    weight_decay: float = 0.02  # of all with two or more dimensions; biases and norms are free
    warmup: float = 0.25  # share of all steps before the peak
    ema: float = 0.998  # decay per step of the averaged weights, which are what is kept
    clip: float | None = None  # largest norm of the gradient
    freeze_norm: float | None = None  # share of the epochs after which batch-norm statistics stay fixed
    weights: str | None = None  # initial weights: "imagenet", a state dict's path, None: random
    augment: Augment = field(default_factory=Augment)
