"""Write the figures of docs/results.md and README.md, and their pictures, from recorded files: quintet report.

The command reads the artefacts, and results/evaluation.json and results/test_probabilities.npz of `quintet evaluate`.
If they exist, it also reads runs.json, offline.json and mnist_alone/ in results/. With --runs it first records the
training of the released networks in runs.json. No figure is typed by hand: a page has marks, and what stands between
them is written here.
"""

import argparse
import sys
from pathlib import Path


def write(models: Path, results: Path, root: Path | None = None, folder: Path = Path()) -> None:
    """Write the pictures in `results` and, in `folder`, the generated parts of docs/results.md and README.md."""
    from training.data import mnist
    from training.report import page, plots
    from training.report.docs import fill
    from training.report.records import Recorded

    recorded = Recorded(models, results)
    images, labels = (tensor.numpy() for tensor in mnist.load("test", root))
    plots.curves(recorded.runs, results / "curves.png")
    plots.confusions(recorded, results / "confusion.png")
    plots.hardest(recorded, images, results / "hardest.png")
    plots.latencies(recorded, results / "latency.png")
    plots.pages(recorded, models, images, labels, results / "pages.png")
    plots.browse(recorded.probabilities, images, results)
    plots.sheet(mnist.watched(root)[0].numpy(), results / "watched.png")
    for path, parts in page.PARTS.items():
        for name, part in parts.items():
            fill(folder / path, name, part(recorded))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0].removesuffix(": quintet report."))
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--runs", type=Path, help="record the runs below this folder first")
    arguments = parser.parse_args(argv)
    try:
        if arguments.runs is not None:
            from training.report.records import record_runs

            record_runs(arguments.runs, arguments.results)
        write(arguments.models, arguments.results, arguments.data)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
