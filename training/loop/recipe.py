"""The settings of a training run: every knob in one frozen dataclass, which stands beside its network."""

from dataclasses import dataclass, field, fields, replace


@dataclass(frozen=True, kw_only=True)
class Sources:
    """How a batch is made up: the share of each source, together 1.

    results/ablation_training.json has what other writers and more letters give; the shares were not tuned further.
    """

    mnist: float = 0.52
    unipen: float = 0.14  # digits of 185 writers of eight countries
    uji: float = 0.02  # digits of 42 Spanish writers
    optdigits: float = 0.04  # digits of 30 Turkish writers
    letters: float = 0.20  # UNIPEN's letters and signs: no digit
    omniglot: float = 0.06  # characters of six alphabets: no digit
    doodles: float = 0.02  # cats, rainbows, trains: no digit


MNIST_ALONE = Sources(**{f.name: 0.0 for f in fields(Sources)} | {"mnist": 1.0})


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How far a training image is moved and degraded; None leaves a step out.

    Amounts are half-widths of uniform distributions unless the comment says otherwise.
    """

    rotate: float = 15.0  # degrees
    shear: float = 0.2  # horizontal shift per row of height
    scale: float = 0.15  # share, each axis on its own
    shift: float = 2.0  # pixels, each axis
    elastic: float = 1.2  # pixels, standard deviation of a smooth displacement field
    stroke: float | None = 0.3  # probability that the pen is made thicker or thinner
    outline: float | None = 0.04  # probability that only the edges of the strokes are left
    smear: float | None = 0.08  # probability of a blur along a line, up to 4 pixels either way
    jitter: float | None = 0.05  # probability that each pixel comes from up to a pixel or two away
    specks: float | None = 0.06  # probability of spots, of ink or of paper
    lines: float | None = 0.1  # probability of up to three strokes across: straight, zigzag, dotted
    fog: float | None = 0.1  # probability of a grey paper, even or in clouds
    stripe: float | None = 0.04  # probability of a band in which ink and paper change places

    def times(self, factor: float) -> "Augment":
        """The same with every knob multiplied by `factor`."""
        knobs = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: None if knob is None else knob * factor for name, knob in knobs.items()})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """AdamW, torch's OneCycleLR (which cycles beta1 too) down to almost nothing, averaged weights of the last epoch.

    An epoch is 55,000 images, as many as MNIST has to train on, from whichever sources.
    """

    epochs: int
    batch_size: int
    lr: float  # peak of the one-cycle schedule
    weight_decay: float = 0.02  # of all with two or more dimensions; biases and norms are free
    warmup: float = 0.25  # share of all steps before the peak
    ema: float = 0.998  # decay per step of the averaged weights, which are what is kept
    clip: float | None = None  # largest norm of the gradient
    weights: str | None = None  # initial weights: "imagenet", a state dict's path, None: random
    mild_epochs: int = 2  # the last ones, with milder augmentation
    mild: float = 0.4  # of every knob of `augment`, in the mild epochs
    sources: Sources = field(default_factory=Sources)
    augment: Augment = field(default_factory=Augment)
    several: float | None = 0.02  # share of a batch in which several of MNIST's digits are put into one frame: no digit
