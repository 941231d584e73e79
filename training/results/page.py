"""The text of docs/results.md."""

from training.measure.evaluation import CONSENSUS
from training.results import tables
from training.results.records import Recorded


def text(recorded: Recorded) -> str:
    """The text of docs/results.md. Parts that were not measured are left out."""
    intervals = recorded.measured[CONSENSUS]["test_intervals"]
    accuracy, loss, ece = (f"{low:.4f} to {high:.4f}" for low, high in intervals.values())
    parts = [
        "# Results",
        "`python -m training.report` writes this page from the files in `results/`. No figure is typed.",
        tables.comparison(recorded),
        f"Measured on MNIST's 10,000 test images with the files in `models/`. Temperatures and thresholds were chosen "
        f"on\n5,000 images held out from the training set. {_hardware(recorded)} The training time is that of the "
        f"median epoch,\ntimes their number.\n{_latency(recorded)}",
        f"The consensus has these 95 % bootstrap intervals: accuracy {accuracy}, loss {loss}, ECE {ece}.\n"
        "Resampling adds to an ECE, so its interval lies above the figure itself.",
        "## Other people's digits",
        tables.digits(recorded),
        "The table gives the consensus of all models, with Wilson's 95 % intervals. No image of these writers was "
        "trained on." + _alone(recorded),
        *_nondigits(recorded),
        _trained_on(recorded),
        tables.by_model(recorded),
        "## Development set",
        tables.elsewhere(recorded),
        "## Detection",
        _detection(recorded),
        "## Curves",
        "![Loss and accuracy by epoch](../results/curves.png)",
        "## Mistakes",
        "![Confusion matrices](../results/confusion.png)",
        "![The hardest test digits](../results/hardest.png)",
        "![Pages with the boxes found](../results/pages.png)",
        "## Accuracy against latency",
        "![Accuracy against latency](../results/latency.png)",
        "## Training",
        tables.trainings(recorded),
        *_ablation(recorded),
        "## Training speed",
        tables.speed(recorded),
        "The plain loop is the usual one: a DataLoader, one image at a time through ToTensor, 32-bit floats, no "
        "augmentation;\nfor the Vision Transformer also patches cut in Python. Faster R-CNN's pages are not counted as "
        "augmentation.",
        *tables.times(recorded),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _alone(recorded: Recorded) -> str:
    if not recorded.mnist_alone:
        return ""
    return (
        "\nThe last column gives the consensus of the networks that the same recipes make of MNIST alone. It shows "
        "what other\npeople's writing costs on MNIST and gives elsewhere."
    )


def _nondigits(recorded: Recorded) -> list[str]:
    if "letters" not in recorded.measured[CONSENSUS]["sets"]:
        return ["The files in `models/` were not measured on the other sets: `python -m training.evaluate` does that."]
    return [
        "## What is no digit",
        tables.nondigits(recorded),
        "A good service refuses these images. AUROC compares their confidences with those of MNIST's test images. "
        "Look-alikes\n(O, l, S, Z and others, `training/data/lookalikes.py`) are left out.",
    ]


def _hardware(recorded: Recorded) -> str:
    where: dict[str, list[str]] = {}
    for name, says in recorded.metadata.items():
        where.setdefault(f"{says['hardware']}, PyTorch {says['torch']}", []).append(name)
    return "Trained: " + "; ".join(f"{', '.join(names)} on {machine}" for machine, names in where.items()) + "."


def _latency(recorded: Recorded) -> str:
    if recorded.offline is None:
        return ""
    setting = recorded.offline["setting"]
    return (
        f"Latency is the median of {setting['calls']} calls with one image, {setting['device']}, {setting['threads']} "
        f"threads of {setting['hardware']}, onnxruntime {setting['onnxruntime']}."
    )


def _trained_on(recorded: Recorded) -> str:
    said = {str(says["data"]): [] for says in recorded.metadata.values()}
    for name, says in recorded.metadata.items():
        said[str(says["data"])].append(name)
    return "\n".join(f"- {', '.join(names)}: trained on {data}." for data, names in said.items())


def _detection(recorded: Recorded) -> str:
    lines = []
    for name in recorded.names:
        if found := recorded.measured[name].get("detection"):
            lines.append(
                f"`{name}` on {found['pages']:,} pages of 128x128 with {found['digits']:,} test digits, in batches of "
                f"16: AP[.5:.95] **{found['ap']:.4f}**, AP50 {found['ap50']:.4f}, AP75 {found['ap75']:.4f}, AR "
                f"{found['ar']:.4f} (pycocotools)."
            )
    return "\n".join(lines)


def _ablation(recorded: Recorded) -> list[str]:
    if recorded.ablation is None:
        return []
    setting = recorded.ablation["setting"]
    return [
        "## What each part of the training data earns",
        tables.ablation(recorded),
        f"One network (`{setting['network']}`) was trained for {setting['epochs']} epochs with everything, then without"
        f" each part in turn,\nby the same seed, and measured on validation images (`python -m "
        f"benchmarks.ablation_training`). A difference within the\nspread of the seeds is none. "
        f"[training.md](training.md) says what was kept.",
    ]
