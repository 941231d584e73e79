"""The tables of docs/results.md and of the README, in Markdown, from `Recorded`."""

import textwrap
from typing import Any

from training.measure.evaluation import CONSENSUS
from training.results.records import Recorded

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
}

ALONE = "trained on MNIST alone"  # the title of a column


def table_of(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def comparison(recorded: Recorded) -> str:
    """The table that opens docs/results.md."""
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
    rows.append(['always "1"', "0", f"{ones:.2%}", *[""] * 7])
    head = ["model", "parameters", "test accuracy", "macro F1", "loss", "ECE", "training", "file", "latency"]
    return table_of([*head, ALONE], rows)


def summary(recorded: Recorded) -> str:
    """The columns of `comparison` that the README shows."""
    wanted = ("model", "parameters", "test accuracy", "macro F1", "training", "latency")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in comparison(recorded).splitlines()]
    head, rows = lines[0], lines[2:]
    columns = [head.index(title) for title in wanted]
    return table_of(list(wanted), [[row[column] for column in columns] for row in rows])


def digits(recorded: Recorded) -> str:
    """The figures of the consensus for each set of digits."""
    head = ["set", "digits", "writers", "right", "ones right", "slashed zeros right", "accepted and wrong", "refused"]
    rows = []
    for name, part in _sets(recorded, DIGITS):
        row = [DIGITS[name], f"{part['right']['n']:,}", str(part.get("writers", ""))]
        for key in ("right", "ones_right", "slashed_zeros_right", "accepted_wrong", "refused"):
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


def by_model(recorded: Recorded) -> str:
    """For each model, the share of each set of digits that is read right, and of non-digits that is refused."""
    names = [name for name, _ in _sets(recorded, DIGITS | NONDIGITS)]
    rows = []
    for model in (*recorded.names, CONSENSUS):
        sets = recorded.measured[model]["sets"]
        key = {name: "right" if name in DIGITS else "refused" for name in names}
        rows.append([model, *(f"{sets[name][key[name]]['share']:.2%}" for name in names)])
    return table_of(["model", *(f"{name} {'right' if name in DIGITS else 'refused'}" for name in names)], rows)


def _sets(recorded: Recorded, titles: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    measured = recorded.measured[CONSENSUS]["sets"]
    return [(name, measured[name]) for name in titles if name in measured]


def _alone(recorded: Recorded, name: str, key: str) -> str:
    """The share of a set for the networks trained on MNIST alone, together; empty if there are none."""
    sets = recorded.mnist_alone.get(CONSENSUS, {}).get("sets", {})
    return f"{sets[name][key]['share']:.2%}" if name in sets else ""


def _share(part: dict[str, Any]) -> str:
    low, high = part["interval"]
    return f"{part['share']:.2%} ({low:.2%} to {high:.2%})"


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
    return textwrap.fill(words, 120, break_on_hyphens=False) + "\n"


def trainings(recorded: Recorded) -> str:
    """The training of each released network, one row each."""
    head = ["network", "from", "seed", "epochs", "MNIST validation", "minutes", "hardware", "PyTorch", "commit"]
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
                run["hardware"],
                run["torch"],
                run["commit"][:7],
            ]
        )
    return table_of(head, rows)


def ablation(recorded: Recorded) -> str:
    """The figures with and without each part of the training data, one row per training. Empty if not measured."""
    if recorded.ablation is None:
        return ""
    right, refused = ("mnist", "unipen", "uji", "optdigits"), ("letters", "omniglot", "doodles")
    head = ["training", *(f"{name} right" for name in right), *(f"{name} refused" for name in refused)]
    rows = []
    for title, found in recorded.ablation["trainings"].items():
        row = [title, *(f"{found[name]['accuracy']:.2%}" for name in right)]
        row += [f"{found[name]['refused']:.1%}" for name in refused]
        degraded = found["degraded_accuracy"].values()
        rows.append([*row, f"{sum(degraded) / len(degraded):.1%}", f"{found['photographs']['accuracy']:.1%}"])
    return table_of([*head, "degraded right", "photographs right"], rows)


def speed(recorded: Recorded) -> str:
    """Images per second in training, compared with a plain loop."""
    head = ["network", "images/s", "plain loop", "ratio", "drawing and augmentation"]
    rows = []
    for name, measured in (recorded.speed or {}).get("rows", {}).items():
        ours, plain = measured["images_per_sec"], measured["plain_images_per_sec"]
        share = f"{measured['augmentation_share']:.0%} of the step"
        rows.append([name, f"{ours:,.0f}", f"{plain:,.0f}", f"{ours / plain:.1f}", share])
    return table_of(head, rows)


def times(recorded: Recorded) -> list[str]:
    """The times that a small CNN takes to an accuracy on the test images, a text each."""
    texts = []
    for said in recorded.times:
        seconds = f"{said['seconds_mean']:.1f} ± {said['seconds_deviation']:.1f} s on {said['hardware']}"
        accuracy = f"{said['accuracy_mean']:.2%} ± {said['accuracy_deviation']:.2%}"
        words = (
            f"To {said['goal']} % of the test images (`python -m benchmarks.time_to_accuracy --goal {said['goal']}`, a "
            f"fixed recipe, every run counted): {seconds}, {accuracy} over {len(said['runs'])} seeds; "
            f"{said['reached']} reach it."
        )
        texts.append(textwrap.fill(words, 120, break_on_hyphens=False))
    return texts
