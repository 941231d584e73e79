"""docs/experiments.md: what was tried and what it gave, from results/experiments.json."""

import json
import textwrap
from pathlib import Path

RECORD = "experiments.json"
HEAD = """# Experiments

Written by `quintet report` from `results/experiments.json`: what was tried, what it gave, what was not released. The
figures are development figures: they come from validation images or from the development set, which were looked at
while the work went on. [results.md](results.md) has the test figures and every run.

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
