"""Write docs/results.md, its pictures and the README's figures from recorded files: python -m training.report.

The command reads the artefacts, and results/evaluation.json and results/test_probabilities.npz, which training.evaluate
writes. If they exist, it also reads these from results/: runs.json, mnist_alone/, and the benchmarks' records
offline.json, speed.json, time_to_99.json, time_to_99.5.json and ablation_training.json. With --runs it first records
the training of the released networks in runs.json. No figure is typed by hand.
"""

import argparse
import re
import sys
from pathlib import Path

MARKED = "(?<=<!-- {0} -->\n).*?(?=<!-- /{0} -->)"  # a generated part of the README


def write(models: Path, results: Path, root: Path | None = None, folder: Path = Path()) -> None:
    """Write the pictures in `results` and, in `folder`, docs/results.md, docs/experiments.md and parts of README.md."""
    from training.data import mnist
    from training.results import browse, experiments, plots
    from training.results.page import text
    from training.results.records import Recorded
    from training.results.tables import elsewhere, summary

    recorded = Recorded(models, results)
    images, labels = (tensor.numpy() for tensor in mnist.load("test", root))
    plots.curves(recorded.runs, results / "curves.png")
    plots.confusions(recorded, results / "confusion.png")
    plots.hardest(recorded, images, results / "hardest.png")
    plots.latencies(recorded, results / "latency.png")
    plots.pages(recorded, models, images, labels, results / "pages.png")
    browse.write(recorded.probabilities, images, results)
    docs = folder / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "results.md").write_text(text(recorded))
    if (results / experiments.RECORD).exists():
        (docs / "experiments.md").write_text(experiments.page(results))
    readme = folder / "README.md"
    content = readme.read_text()
    for name, part in (("summary", summary(recorded)), ("elsewhere", elsewhere(recorded))):
        content = re.sub(MARKED.format(name), lambda _, part=part: part, content, flags=re.DOTALL)
    readme.write_text(content)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--runs", type=Path, help="record the runs below this folder first")
    arguments = parser.parse_args(argv)
    try:
        if arguments.runs is not None:
            from training.results.runs import record

            record(arguments.runs, arguments.results)
        write(arguments.models, arguments.results, arguments.data)
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
