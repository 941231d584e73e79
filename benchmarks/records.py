"""What every benchmark does with its figures: print a table, keep a record, put the table into docs/results.md.

python -m benchmarks.records writes the tables of all records in results/ into docs/results.md again.
"""

import argparse
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import NAMES
from training.records import fill

Record = dict[str, Any]
Table = Callable[[Record], str]  # a record to Markdown

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = REPOSITORY / "examples"
RESULTS, PAGE = REPOSITORY / "results", REPOSITORY / "docs" / "results.md"


def parser(about: str | None) -> argparse.ArgumentParser:
    """A parser of a benchmark's arguments, with --record. about: the benchmark's docstring."""
    result = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    says = "keep the figures in results/ and docs/results.md, or in FILE alone"
    result.add_argument("--record", type=Path, nargs="?", const=RESULTS, metavar="FILE", help=says)
    return result


def show(name: str, record: Record, table: Table, kept: Path | None) -> None:
    """Print the table of a record; keep it where --record says."""
    print(table(record))
    if kept is None:
        return
    path = RESULTS / f"{name}.json" if kept == RESULTS else kept
    path.write_text(json.dumps(record, indent=1) + "\n")
    if kept == RESULTS:
        fill(PAGE, name, table(record))


def hardware() -> str:
    """The processor's name."""
    from training.loop import processor  # loads PyTorch: not in the processes that measure

    return processor()


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    for benchmark in NAMES:
        module = importlib.import_module(f"benchmarks.{benchmark}")
        for name, table in getattr(module, "TABLES", {}).items():
            path = RESULTS / f"{name}.json"
            if path.exists():
                fill(PAGE, name, table(json.loads(path.read_text())))


if __name__ == "__main__":
    main()
