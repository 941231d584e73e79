"""The `quintet` command, also `python -m service`.

A command is a function of a module, which is imported only when it is asked for: names and help answer at once.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__

Main = Callable[[Sequence[str]], int | None]

COMMANDS = {  # name: where it is, what it does
    "serve": ("service.serve:main", "answer over HTTP"),
    "predict": ("service.cli:predict", "read one digit from each image"),
    "read": ("service.cli:read", "read the numbers on each image, line by line"),
    "batch": ("service.batch.command:main", "read any number of images into a table"),
    "train": ("training.train:main", "train a network"),
    "export": ("training.export:main", "turn a trained network into models/NAME.onnx"),
    "evaluate": ("training.evaluate:main", "measure the models on the test set"),
    "report": ("training.report:main", "write docs/results.md and its plots from what was measured"),
    "benchmark": ("benchmarks.NAME:main", "measure speed or robustness; `quintet benchmark --help` lists the names"),
}
EXTRAS = {
    "service.batch": "batch",
    "training": "train",
    "benchmarks": "dev",
}  # what a package needs besides the service


def benchmarks() -> list[str]:
    """The modules of benchmarks/ that can be run."""
    folder = Path(__file__).parent.parent / "benchmarks"
    return sorted(path.stem for path in folder.glob("*.py") if "\ndef main(" in path.read_text())


def load(place: str) -> Main:
    """The function at "module:function"."""
    module, _, function = place.partition(":")
    return getattr(importlib.import_module(module), function)


def run(title: str, place: str, arguments: Sequence[str]) -> int:
    """Run one command and return its exit status. `title` is its name in its own help."""
    sys.argv[0] = title  # argparse takes a parser's name from here
    try:
        return load(place)(arguments) or 0
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        extra = next((extra for package, extra in EXTRAS.items() if place.startswith(package)), None)
        if extra is None or missing in ("service", "training", "benchmarks"):
            raise
        print(f"{title} needs {missing}; in the clone, install it with: pip install '.[{extra}]'", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {says}" for name, (_, says) in COMMANDS.items()]
    result = argparse.ArgumentParser(
        prog="quintet",
        description="Five networks read handwritten digits.",
        epilog="\n".join(["commands:", *lines, "", "`quintet COMMAND --help` describes one of them."]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"quintet {__version__}")
    result.add_argument("command", metavar="COMMAND", choices=COMMANDS)
    result.add_argument("arguments", metavar="...", nargs=argparse.REMAINDER, help="of that command")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status."""
    chosen = parser().parse_args(argv)
    place, says = COMMANDS[chosen.command]
    title, rest = f"quintet {chosen.command}", chosen.arguments
    if chosen.command == "benchmark":
        which = argparse.ArgumentParser(prog=title, description=f"{says.partition(';')[0]}.")
        which.add_argument("name", metavar="NAME", choices=benchmarks(), help=", ".join(benchmarks()))
        name = which.parse_args(rest[:1]).name
        title, place, rest = f"{title} {name}", place.replace("NAME", name), rest[1:]
    return run(title, place, rest)


if __name__ == "__main__":
    sys.exit(main())
