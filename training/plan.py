"""Print what `make models` has left to do, and about how long it takes: python -m training.plan NAME ...

The time of an epoch is that of the network's run in --runs, else of the recorded run of the released network.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from training import networks

RECORD = Path("results/runs.json")  # `training.report` writes it


def plan(names: list[str], runs: Path) -> list[dict[str, Any]]:
    """For each network: name, epochs, done, seconds of an epoch (None if unknown), and the hardware that took them."""
    from training.loop import read_metrics

    recorded = {run["name"]: run for run in json.loads(RECORD.read_text())} if RECORD.exists() else {}
    rows = []
    for name in names:
        metrics, hardware = read_metrics(runs / name), "here"
        done = len(metrics)
        if not metrics and name in recorded:
            metrics, hardware = recorded[name]["metrics"], recorded[name]["hardware"]
        seconds = statistics.median(line["seconds"] for line in metrics) if metrics else None
        epochs = networks.load(name).RECIPE.epochs
        rows.append({"name": name, "epochs": epochs, "done": done, "seconds": seconds, "hardware": hardware})
    return rows


def describe(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'network':<12} {'epochs':>6} {'done':>5} {'s/epoch':>8} {'minutes left':>13}"]
    for row in rows:
        left, seconds = max(row["epochs"] - row["done"], 0), row["seconds"]
        times = ("?", "?") if seconds is None else (f"{seconds:.0f}", f"{left * seconds / 60:.0f}")
        on = "" if seconds is None or row["hardware"] == "here" else f"  ({row['hardware']})"
        lines.append(f"{row['name']:<12} {row['epochs']:>6} {row['done']:>5} {times[0]:>8} {times[1]:>13}{on}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0].partition(":")[0] + ".")
    parser.add_argument("names", metavar="NAME", nargs="*", help="default: all")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    arguments = parser.parse_args(argv)
    print(describe(plan(arguments.names or networks.released(), arguments.runs)))


if __name__ == "__main__":
    main()
