"""Write docs/results.md, its pictures and the README's figures from what was recorded: python -m training.report.

Reads results/evaluation.json and test_probabilities.npz (training.evaluate), the artefacts, and where they are there
runs.json (training.runs), offline.json, speed.json and time_to_99.json (benchmarks). No figure is typed.
"""

import argparse
import re
import sys
from pathlib import Path

from training.data import mnist
from training.evaluate import CONSENSUS, RESULTS
from training.export import MODELS
from training.results import browse, plots
from training.results.records import Recorded
from training.results.tables import all_runs, beyond, comparison, elsewhere, published, seeds, speed, summary, to_99

MARKED = "(?<=<!-- {0} -->\n).*?(?=<!-- /{0} -->)"  # a part of the README that is written here


def text(recorded):
    """docs/results.md."""
    consensus = recorded.measured[CONSENSUS]
    low_high = {name: f"{low:.4f} to {high:.4f}" for name, (low, high) in consensus["test_intervals"].items()}
    detection = "\n".join(
        f"`{name}` on {d['pages']:,} pages of 128x128 with {d['digits']:,} test digits, in batches of 16: "
        f"AP[.5:.95] **{d['ap']:.4f}**, AP50 {d['ap50']:.4f}, AP75 {d['ap75']:.4f}, AR {d['ar']:.4f} (pycocotools)."
        for name, d in ((n, recorded.measured[n]["detection"]) for n in recorded.names if _finds(recorded, n))
    )
    setting = recorded.offline["setting"] if recorded.offline else {}
    latency = (
        f"Latency: median of {setting['calls']} calls with one image, {setting['device']}, {setting['threads']} "
        f"threads of {setting['hardware']}, onnxruntime {setting['onnxruntime']}."
        if setting
        else ""
    )
    where = {}
    for name, says in recorded.metadata.items():
        where.setdefault(f"{says['hardware']}, PyTorch {says['torch']}", []).append(name)
    hardware = "; ".join(f"{', '.join(names)} on {machine}" for machine, names in where.items())
    return f"""# Results

Written by `python -m training.report` from what was recorded in `results/`; no figure of ours was typed.

{comparison(recorded)}
MNIST's 10,000 test images through the files in `models/`; epochs, temperatures and thresholds were chosen on 5,000
images held out from the training set. Trained: {hardware}; the time is that of the median epoch, times their number.
{latency}

The consensus, with 95 % bootstrap intervals: accuracy {low_high["accuracy"]}, loss {low_high["loss"]},
ECE {low_high["ece"]} (resampling adds to an ECE, so its interval lies above the figure itself).

{published()}
Accuracy %, macro F1 % and training time where given, as they were handed to us, without their addresses and machines.

## Beyond MNIST

{beyond(recorded)}
`load_digits`: scikit-learn's 1,797 digits of 8x8 pixels, never trained on. Non-digits: of the kinds
trained on, made of test digits, chance and letters by the same code. Own images: photographs, scans and
drawings by other people, through the service's canonicaliser; no image of them was trained on, though letters of these
kinds, drawn by code, were.

{elsewhere(recorded)}
## Detection

{detection}

## Curves

![Loss and accuracy by epoch](../results/curves.png)

## Mistakes

![Confusion matrices](../results/confusion.png)

![The hardest test digits](../results/hardest.png)

![Pages with the boxes found](../results/pages.png)

## Accuracy against latency

![Accuracy against latency](../results/latency.png)

## Every run

{seeds(recorded)}

In bold: what was released. Those of an earlier commit may have had other augmentation; `results/runs.json` has every
run's recipe.

{all_runs(recorded)}
## Training speed

{speed(recorded)}
The plain loop is the usual one: a DataLoader, one image at a time through ToTensor, 32-bit floats, no augmentation; for
the Vision Transformer also patches cut in Python. Augmentation is that of single digits; Faster R-CNN's pages are not
in it. Times to an accuracy: on validation images, of a run from the start.

{to_99(recorded)}"""


def _finds(recorded, name):
    return "detection" in recorded.measured[name]


def write(models=MODELS, results=RESULTS, root=None, folder=Path()):
    """Write results/*.png and, in `folder`, docs/results.md and two parts of README.md."""
    recorded = Recorded(models, results)
    images, labels = (tensor.numpy() for tensor in mnist.load("test", root))
    plots.curves(recorded.runs, results / "curves.png")
    plots.confusions(recorded, results / "confusion.png")
    plots.hardest(recorded, images, results / "hardest.png")
    browse.write(recorded.probabilities, images, results)
    plots.latencies(recorded, results / "latency.png")
    plots.pages(recorded, models, images, labels, results / "pages.png")
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "results.md").write_text(text(recorded))
    readme = folder / "README.md"
    content = readme.read_text()
    for name, part in (("summary", summary(recorded)), ("elsewhere", elsewhere(recorded))):
        content = re.sub(MARKED.format(name), lambda _, part=part: part, content, flags=re.DOTALL)
    readme.write_text(content)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS, help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: results")
    arguments = parser.parse_args(argv)
    try:
        write(arguments.models, arguments.results, arguments.data)
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
