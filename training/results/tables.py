"""The tables of docs/results.md and the README, in Markdown, made of what `Recorded` holds."""

import textwrap

import numpy as np

from training.evaluate import CONSENSUS

# Accuracy %, macro F1 %, training time where given: what others who compare these families on MNIST have published.
PUBLISHED = {
    "cnn": ("99.11 / 98.87 / 15 s", "98.0 / 97.9 / 1 min", "98.5", "99.27 / 3 min"),
    "faster_rcnn": ("99.09 / 99.02 / 15 s (a plain CNN of that name)", "98.97 / 1 min"),
    "vgg16": ("99.20 / 99.15 / 2 min", "99.21 / 4,265 s", "99.19 / 2,940 s"),
    "alexnet": ("98.5 / 98.4 / 1.5 min", "99.6 / 743 s", "99.32 / 508 s"),
    "vit": ("97.1 / 96.9 / 3 min", "99.23"),
}


def table_of(head, rows):
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def comparison(recorded):
    """The table that opens docs/results.md."""
    rows = []
    for name in (*recorded.names, CONSENSUS):
        test, latency = recorded.measured[name]["test"], recorded.latency(name)
        says = recorded.metadata.get(name)
        seconds = says["training_seconds"] if says else sum(m["training_seconds"] for m in recorded.metadata.values())
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
            ]
        )
    ones = float((recorded.probabilities["labels"] == 1).mean())
    rows.append(['always "1"', "0", f"{ones:.2%}", "", "", "", "", "", ""])
    head = ["model", "parameters", "test accuracy", "macro F1", "loss", "ECE", "training", "file", "latency"]
    return table_of(head, rows)


def beyond(recorded):
    """What the models do with images that are not MNIST."""
    head = ["model", "load_digits", "MNIST refused", "non-digits refused", "AUROC"]
    rows = []
    for name in (*recorded.names, CONSENSUS):
        values = recorded.measured[name]
        refusal = values["refusal"]
        row = [name, f"{values['load_digits']:.2%}", f"{refusal['digits_refused']:.2%}"]
        row += [f"{refusal['nondigits_refused']:.1%}", f"{refusal['auroc']:.4f}"]
        own = values.get("images")
        if own is not None:
            shares = ("accuracy", "mean_over_writers", "digits_refused", "others_refused")
            row += [f"{own[share]:.1%}" if share in own else "" for share in shares]
            row.append(f"{own['auroc']:.4f}" if "auroc" in own else "")
        rows.append(row)
    if "images" in recorded.measured[CONSENSUS]:
        head += ["own images", "mean over writers", "own digits refused", "own others refused", "own AUROC"]
    return table_of(head, rows)


def summary(recorded):
    """The five columns of `comparison` that stand in the README."""
    wanted = ("model", "parameters", "test accuracy", "macro F1", "training", "latency")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in comparison(recorded).splitlines()]
    head, rows = lines[0], lines[2:]
    columns = [head.index(title) for title in wanted]
    return table_of(list(wanted), [[row[column] for column in columns] for row in rows])


def elsewhere(recorded):
    """The consensus on the development set, in words; empty unless there are digits, others, lines and pages."""
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


def all_runs(recorded):
    """A row a run, the released ones in bold."""
    head = ["network", "from", "seed", "epochs", "kept", "validation", "test", "loss", "minutes", "hardware", "commit"]
    rows = []
    for run in recorded.runs:
        rows.append(
            [
                f"**{run['name']}**" if _is_released(recorded, run) else run["name"],
                run["initial_weights"],
                str(run["seed"]),
                str(run["epochs"]) if run["finished"] else f"{len(run['metrics'])} of {run['epochs']}",
                str(run["best_epoch"]),
                f"{run['validation']['accuracy']:.2%}",
                f"{run['test']['accuracy']:.2%}",
                f"{run['test']['loss']:.4f}",
                f"{run['seconds'] / 60:.0f}",
                run["hardware"],
                run["commit"][:7],
            ]
        )
    return table_of(head, rows)


def _is_released(recorded, run):
    says = recorded.metadata.get(run["name"], {})
    return all(says.get(key) == run[key] for key in ("commit", "seed", "initial_weights"))


def seeds(recorded):
    """Mean and deviation over the seeds of each network that one commit and recipe trained with several."""
    groups = {}
    for run in recorded.runs:
        groups.setdefault((run["name"], run["initial_weights"], run["commit"], str(run["recipe"])), []).append(run)
    sentences = []
    for (name, weights, *_), runs in groups.items():
        values = list({run["seed"]: 100 * run["test"]["accuracy"] for run in runs}.values())
        if len(values) > 1:
            which = "" if any(_is_released(recorded, run) for run in runs) else ", by an earlier recipe"
            sentences.append(
                f"- {name} from {weights} weights{which}: {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f} % "
                f"over {len(values)} seeds ({min(values):.2f} to {max(values):.2f})."
            )
    return "\n".join(sentences)


def speed(recorded):
    """Images per second and the time to an accuracy, beside the plain loop."""
    head = ["network", "images/s", "plain loop", "ratio", "augmentation", "to 99 %", "to 99.5 %"]
    rows = []
    for name in recorded.names:
        row = [name, "", "", "", ""]
        measured = (recorded.speed or {}).get("rows", {}).get(name)
        if measured:
            ours, plain = measured["images_per_sec"], measured["plain_images_per_sec"]
            share = f"{measured['augmentation_share']:.0%} of the step"
            row = [name, f"{ours:,.0f}", f"{plain:,.0f}", f"{ours / plain:.1f}", share]
        runs = [run for run in recorded.runs if run["name"] == name and not run["earlier_seconds"]]
        run = next((run for run in runs if _is_released(recorded, run)), runs[0] if runs else None)
        rows.append(row + [_time_to(run, accuracy) for accuracy in (0.99, 0.995)])
    return table_of(head, rows)


def to_99(recorded):
    """How long a small CNN takes to 99 % of the test images, in words; empty where that was not measured."""
    said = recorded.to_99
    if said is None:
        return ""
    seconds = f"{said['seconds_mean']:.1f} ± {said['seconds_deviation']:.1f} s on {said['hardware']}"
    accuracy = f"{said['accuracy_mean']:.2%} ± {said['accuracy_deviation']:.2%}"
    words = (
        f"To 99 % of the test images (`python -m benchmarks.time_to_99`, a fixed recipe, every run counted): "
        f"{seconds}, {accuracy} over {len(said['runs'])} seeds, of which {said['at_least_99']} reach it."
    )
    return textwrap.fill(words, 120, break_on_hyphens=False) + "\n"


def _time_to(run, accuracy):
    metrics = run["metrics"] if run else []
    for line in metrics:
        if line["validation_accuracy"] >= accuracy:
            return f"{run['seconds'] / len(metrics) * line['epoch']:,.0f} s, {line['epoch']} epochs"
    return ""


def published():
    return table_of(["network", "published by others"], [[n, "; ".join(lines)] for n, lines in PUBLISHED.items()])
