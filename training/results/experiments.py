"""docs/experiments.md: what was tried and what it gained, from results/experiments.json."""

import json
import textwrap
from pathlib import Path

RECORD = "experiments.json"
HEAD = """# Experiments

This page lists what was tried for the first version, what it gained, and what was not released. `quintet report` writes
it from `results/experiments.json`. That file is a transcript of notes that were made during the work: no files of
measurements are kept behind its figures, so they cannot be checked or repeated exactly. An empty cell means that the
notes have no figure. All of them are development figures, from validation images or from the development set, which
were looked at during the work. [results.md](results.md) has the test figures and the recorded runs.

## Goals that were missed

The first version aimed at 99.75 % of MNIST's test images for `cnn` and `vgg16`, 99.85 % for the consensus, an average
precision of .95, 95 % of non-digits refused and 90 % of lines read exactly. It reached none of these.
"""

Cell = str | float | None


def page(results: Path) -> str:
    """The whole page. Raises FileNotFoundError without the record."""
    return "\n".join([HEAD, *(_section(one) for one in json.loads((results / RECORD).read_text()))])


def _section(experiment: dict) -> str:
    parts = [f"## {experiment['title']}", _wrapped(experiment["question"])]
    if experiment["rows"]:
        lines = [experiment["columns"], ["---"] * len(experiment["columns"]), *experiment["rows"]]
        parts.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))
    return "\n\n".join([*parts, _wrapped(experiment["lesson"])]) + "\n"


def _cell(value: Cell) -> str:
    return "" if value is None else str(value)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)
