"""Write the figures of docs/results.md and README.md, and their pictures, from recorded files: quintet report.

The command reads the artefacts, and results/evaluation.json and results/test_probabilities.npz of `quintet evaluate`.
If they exist, it also reads runs.json, offline.json and mnist_alone/ in results/. With --runs it first records the
training of the released networks in runs.json. No figure is typed by hand: a page has marks, and what stands between
them is written here.
"""

import argparse
import json
import statistics
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby, product
from pathlib import Path
from typing import Any

from service.inference.artefact import UnusableArtefact
from training.command import command
from training.records import CONSENSUS, RUNS, Recorded, fill, read_runs, table_of
from training.runs import METRICS, WEIGHTS, duration, read_metrics

# The titles of an evaluation's sets, in the order of the tables.
DIGITS = {
    "test": "MNIST, test images",
    "load_digits": "scikit-learn's 8x8 digits (13 writers of optdigits)",
    "unipen": "UNIPEN",
    "uji": "UJIpenchars2",
    "optdigits": "optdigits",
}
NONDIGITS = {
    "several": "several MNIST digits in one frame",
    "letters": "UNIPEN letters and signs",
    "omniglot": "Omniglot, six alphabets",
    "doodles": "Quick, Draw!: cats, rainbows, trains",
    "unseen_signs": "UNIPEN, ten signs that no recipe trains on",
    "unseen_alphabets": "Omniglot, two alphabets that no recipe trains on",
    "unseen_symbols": "Detexify, 125 kinds that no recipe trains on",
    "unseen_sketches": "Quick, Draw!, 27 categories that no recipe trains on",
    "unseen_gestures": "$1 gestures, four kinds that no recipe trains on",
    "unseen_typed": "typed signs, two typefaces and nine signs that no recipe trains on",
}
ALONE = "trained on MNIST alone"  # the title of a column
COLUMNS = ["model", "parameters", "test accuracy", "macro F1", "loss", "ECE", "training", "file", "latency", ALONE]
# Share of an equal weight below which a network is said to be weak: small ones that read 93 to 98 % of the test images
# right had .12 to .22 beside the released five, of which the least has .8.
WEAK = 0.5
SUMMARY = ["model", "parameters", "test accuracy", "macro F1", "training", "latency"]


def record_runs(runs: Path, results: Path) -> None:
    """Write into results/runs.json settings, hardware, commit and each epoch's figures of the networks in `runs`.

    Further seeds are in runs/seed1/ and so on. What results/runs.json says of other trainings stays, as long as their
    network has a file. Raises FileNotFoundError if `runs` holds no run.
    """
    folders = [runs, *sorted(runs.glob("seed*"))]
    if not any(path for folder in folders for path in folder.glob(f"*/{METRICS}")):
        raise FileNotFoundError(f"{str(runs)!r} holds no run; start one with: {command('quintet train NAME')}")

    import torch  # takes seconds

    from training import networks

    recorded, names = read_runs(results), networks.voters()
    for folder, name in product(folders, names):
        metrics = read_metrics(folder / name)
        if not metrics:
            continue
        trained = torch.load(folder / name / WEIGHTS, map_location="cpu", weights_only=True)
        about = {key: trained[key] for key in ("initial_weights", "hardware", "torch", "commit")}
        seconds = duration(metrics, trained.get("seconds_before", 0.0))
        key = name, trained["settings"]["seed"]
        recorded[key] = trained["settings"] | about | {"seconds": seconds, "metrics": metrics}
    results.mkdir(parents=True, exist_ok=True)
    # One line per run, so that a diff shows the runs that changed.
    lines = ",\n".join(json.dumps(recorded[key]) for key in sorted(recorded) if key[0] in names)
    (results / RUNS).write_text(f"[\n{lines}\n]\n")


def comparison(recorded: Recorded) -> str:
    """One row for each model, one for the consensus, and one for the answer "1" to everything."""
    return table_of(COLUMNS, _compared(recorded))


def summary(recorded: Recorded) -> str:
    """The columns of `comparison` that the README shows."""
    wanted = [COLUMNS.index(title) for title in SUMMARY]
    return table_of(SUMMARY, [[row[column] for column in wanted] for row in _compared(recorded)])


def _compared(recorded: Recorded) -> list[list[str]]:
    rows = []
    for name in (*recorded.names, CONSENSUS):
        test, latency = recorded.measured[name]["test"], recorded.latency(name)
        says = recorded.metadata.get(name)
        seconds = says["training_seconds"] if says else sum(m["training_seconds"] for m in recorded.metadata.values())
        alone = recorded.mnist_alone.get(name)
        rows.append(
            [
                f"`{name}`" if says else name,
                f"{says['parameters'] / 1e6:.2f} M" if says else "",
                f"{test['accuracy']:.2%}",
                f"{test['macro_f1']:.4f}",
                f"{test['loss']:.4f}",
                f"{test['ece']:.4f}",
                f"{seconds / 60:.0f} min",
                f"{recorded.bytes[name] / 2**20:.1f} MiB" if says else "",
                "" if latency is None else f"{latency:.1f} ms",
                f"{alone['test']['accuracy']:.2%}" if alone else "",
            ]
        )
    ones = float((recorded.probabilities["labels"] == 1).mean())
    return [*rows, ['always "1"', "0", f"{ones:.2%}", *[""] * 7]]


def circumstances(recorded: Recorded) -> str:
    """Where the networks were trained and timed, on what, and the intervals of the consensus."""
    trained = _grouped(
        {name: f"{says['hardware']}, PyTorch {says['torch']}" for name, says in recorded.metadata.items()}
    )
    data = _grouped({name: str(says["data"]) for name, says in recorded.metadata.items()})
    lines = [
        "Trained: " + "; ".join(f"{', '.join(names)} on {machine}" for machine, names in trained.items()) + ".",
        *(f"Sources of {', '.join(names)}: {shares}." for shares, names in data.items()),
    ]
    if recorded.offline is not None:
        setting = recorded.offline["setting"]
        lines.append(
            f"Latency: median of {setting['calls']} calls with one image, {setting['device']}, {setting['threads']} "
            f"threads of {setting['hardware']}, onnxruntime {setting['onnxruntime']}."
        )
    intervals = recorded.measured[CONSENSUS]["test_intervals"]
    accuracy, loss, ece = (f"{low:.4f} to {high:.4f}" for low, high in intervals.values())
    lines.append(f"95 % bootstrap intervals of the consensus: accuracy {accuracy}, loss {loss}, ECE {ece}.")
    if earlier := recorded.measured[CONSENSUS].get("earlier"):
        lines.append(f"Of an earlier consensus, not measured again: {', '.join(earlier)}.")
    return "".join(f"- {line}\n" for line in [*lines, *weak(recorded.measured)])


def weak(measured: dict[str, Any]) -> list[str]:
    """A sentence for each network that adds almost nothing to the consensus."""
    weights: dict[str, float] = measured[CONSENSUS]["weights"]
    return [
        f"{name} is weak beside the others: its vote in the consensus weighs {weight:.3f} of 1."
        for name, weight in weights.items()
        if weight < WEAK / len(weights)
    ]


def _grouped(values: dict[str, str]) -> dict[str, list[str]]:
    """The names that have each value."""
    found: dict[str, list[str]] = {}
    for name, value in values.items():
        found.setdefault(value, []).append(name)
    return found


def digits(recorded: Recorded) -> str:
    """The figures of the consensus for each set of digits."""
    head = ["set", "digits", "writers", "right", "ones right", "accepted and wrong", "refused"]
    rows = []
    for name, part in _sets(recorded, DIGITS):
        row = [DIGITS[name], f"{part['right']['n']:,}", str(part.get("writers", ""))]
        for key in ("right", "ones_right", "accepted_wrong", "refused"):
            row.append(_share(part[key]) if key in part else "")
        rows.append([*row, _alone(recorded, name, "right")])
    return table_of([*head, f"right, {ALONE}"], rows)


def nondigits(recorded: Recorded) -> str:
    """The figures of the consensus for each set of non-digits."""
    rows = []
    for name, part in _sets(recorded, NONDIGITS):
        n, writers = f"{part['refused']['n']:,}", str(part.get("writers", ""))
        alone = _alone(recorded, name, "refused")
        rows.append([NONDIGITS[name], n, writers, _share(part["refused"]), f"{part['auroc']:.4f}", alone])
    return table_of(["set", "images", "writers", "refused", "AUROC", f"refused, {ALONE}"], rows)


def _sets(recorded: Recorded, titles: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    measured = recorded.measured[CONSENSUS]["sets"]
    return [(name, measured[name]) for name in titles if name in measured]


def _alone(recorded: Recorded, name: str, key: str) -> str:
    """The share of a set for the networks trained on MNIST alone, together; empty if there are none."""
    sets = recorded.mnist_alone.get(CONSENSUS, {}).get("sets", {})
    return f"{sets[name][key]['share']:.2%}" if name in sets else ""


def _share(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    return f"{part['share']:.2%} ({100 * low:.2f}–{100 * high:.2f})"


def by_model(measured: dict[str, Any]) -> str:
    """For each model and set, the share of digits that is read right or of non-digits that is refused."""
    names = [name for name in DIGITS | NONDIGITS if any(name in said["sets"] for said in measured.values())]
    key = {name: "right" if name in DIGITS else "refused" for name in names}
    rows = [
        [model, *(f"{part[key[name]]['share']:.2%}" if (part := said["sets"].get(name)) else "" for name in names)]
        for model, said in measured.items()
    ]
    return table_of(["model", *(f"{name} {key[name]}" for name in names)], rows)


def own(measured: dict[str, Any]) -> str:
    """For each model, the figures of the user's own images; empty without any."""
    rows = []
    for model, said in measured.items():
        if found := said.get("images"):
            right = [f"{found['accuracy']:.1%}", f"{found['digits_refused']:.1%}"] if found["digits"] else ["", ""]
            others = f"{found['others_refused']:.1%}" if found["others"] else ""
            rows.append([model, str(found["digits"]), *right, str(found["others"]), others])
    return table_of(["model", "digits", "right", "refused", "others", "refused"], rows) if rows else ""


def elsewhere(recorded: Recorded) -> str:
    """The figures of the consensus on the development set, as text. Empty unless all of its parts were measured."""
    measured = recorded.measured[CONSENSUS]
    own, read = measured.get("images", {}), measured.get("numbers", {})
    if not (own.get("digits") and own.get("others") and read.get("lines") and read.get("pages")):
        return ""
    words = (
        f"On the development set ({own['digits']} photographs, scans and drawings of digits by "
        f"{len(own['right_by_writer'])} people) the consensus reads {own['accuracy']:.1%} of the digits right and "
        f"refuses {own['digits_refused']:.1%}. It refuses {own['others_refused']:.0%} of {own['others']} images "
        f"without a digit. `/read` gets {read['lines_exact']:.1%} of {read['lines']} lines of digits exactly right, "
        f"and {read['pages_exact']:.0%} of {read['pages']} pages. No network was trained on these images, but they "
        f"were looked at while the service was made, so expect less on yours."
    )
    if {"images", "numbers"} & {*measured.get("earlier", [])}:
        words += " These figures are of an earlier consensus."
    return textwrap.fill(words, 120, break_on_hyphens=False) + "\n"


def detection(recorded: Recorded) -> str:
    """The average precision of each detector."""
    rows = []
    for name in recorded.names:
        if found := recorded.measured[name].get("detection"):
            figures = (f"{found[key]:.4f}" for key in ("ap", "ap50", "ap75", "ar"))
            rows.append([f"`{name}`", f"{found['pages']:,}", f"{found['digits']:,}", *figures])
    return table_of(["model", "pages", "digits", "AP[.5:.95]", "AP50", "AP75", "AR"], rows)


def trainings(recorded: Recorded) -> str:
    """The trainings of each network, one row each, and the mean of those with several seeds."""
    head = ["network", "from", "seed", "epochs", "MNIST validation", "minutes", "commit"]
    rows = []
    for run in recorded.runs:
        last = run["metrics"][-1]
        rows.append(
            [
                run["name"],
                run["initial_weights"],
                str(run["seed"]),
                str(last["epoch"]),
                f"{last['validation']['mnist']['accuracy']:.2%}",
                f"{run['seconds'] / 60:.0f}",
                run["commit"][:7] + "+" * run["commit"].endswith("+"),  # with a "+", files had changed since
            ]
        )
    return "".join([table_of(head, rows), *(f"\n{sentence}\n" for sentence in _means(recorded))])


def _means(recorded: Recorded) -> Iterator[str]:
    """A sentence for each network that was trained with several seeds."""
    for name, runs in groupby(recorded.runs, key=lambda run: run["name"]):
        found = [run["metrics"][-1]["validation"]["mnist"]["accuracy"] for run in runs]
        if len(found) > 1:
            mean, deviation = statistics.mean(found), statistics.stdev(found)
            seed = recorded.metadata[name]["seed"]
            yield f"`{name}`, {len(found)} seeds: {mean:.2%}, deviation {deviation:.2%}. Seed {seed} is released."


def of_all_models(recorded: Recorded) -> str:
    return by_model({name: recorded.measured[name] for name in (*recorded.names, CONSENSUS)})


# The generated parts, by the page that holds them and the name of their marks.
PARTS = {
    "docs/results.md": {
        "comparison": comparison,
        "circumstances": circumstances,
        "digits": digits,
        "nondigits": nondigits,
        "by_model": of_all_models,
        "elsewhere": elsewhere,
        "detection": detection,
        "trainings": trainings,
    },
    "README.md": {"summary": summary, "elsewhere": elsewhere},
}


def write(models: Path, results: Path, root: Path | None = None, folder: Path = Path()) -> None:
    """Write the pictures in `results` and, in `folder`, the generated parts of docs/results.md and README.md."""
    from training.data import fetch

    recorded = Recorded(models, results)
    fetch.check(root, None, mnist_alone=True)

    from training import plots  # loads PyTorch, which takes seconds
    from training.data import mnist

    images, labels = (tensor.numpy() for tensor in mnist.load("test", root))
    released = [run for run in recorded.runs if run["seed"] == recorded.metadata[run["name"]]["seed"]]
    plots.curves(released, results / "curves.png")
    plots.confusions(recorded, results / "confusion.png")
    plots.hardest(recorded, images, results / "hardest.png")
    plots.latencies(recorded, results / "latency.png")
    plots.pages(recorded, models, images, labels, results / "pages.png")
    plots.browse(recorded.probabilities, images, results)
    plots.sheet(mnist.watched(root)[0].numpy(), results / "watched.png")
    for path, parts in PARTS.items():
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
            record_runs(arguments.runs, arguments.results)
        write(arguments.models, arguments.results, arguments.data)
    except (FileNotFoundError, ValueError, UnusableArtefact) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
