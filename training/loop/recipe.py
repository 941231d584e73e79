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
    styles: float | None = 0.5  # probability that a digit with a second way of writing it is written so
    stroke: float | None = 0.3  # probability that the pen is made thicker or thinner
    outline: float | None = 0.04  # probability that only the edges of the strokes are left
    contrast: float | None = 0.3  # probability of a gamma curve and a paler ink
    coarse: float | None = 0.1  # probability of a loss of resolution
    smear: float | None = 0.08  # probability of a blur along a line, up to 4 pixels either way
    jitter: float | None = 0.05  # probability that each pixel comes from up to a pixel or two away
    specks: float | None = 0.06  # probability of spots, of ink or of paper
    lines: float | None = 0.1  # probability of up to three strokes across: straight, zigzag, dotted
    fog: float | None = 0.1  # probability of a grey paper, even or in clouds
    stripe: float | None = 0.04  # probability of a band in which ink and paper change places
    noise: float | None = 0.12  # probability of grain, up to 0.25 of full ink
    erase: float | None = 0.08  # probability of a rectangle rubbed out, up to 8 pixels a side


@dataclass(frozen=True, kw_only=True)
class NonDigits:
    """How much of each batch is replaced by what is no digit; shares of the batch, None leaves a kind out."""

    turned: float | None = 0.04  # digits mirrored or turned until they are none
    several: float | None = 0.02  # two or three digits in one frame
    swapped: float | None = 0.015  # digits whose upper and lower half changed places
    scribble: float | None = 0.08  # two to four strokes of a pen
    blotch: float | None = 0.03  # patches of a smooth random field
    letter: float | None = 0.12  # letters and signs, written stroke by stroke


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
    weights: str | None = None  # initial weights: "imagenet", a state dict's path, None: random
    augment: Augment = field(default_factory=Augment)
    nondigits: NonDigits = field(default_factory=NonDigits)
