"""The `quintet` command, also `python -m service` in a checkout.

Each command imports what it needs when it runs, so that names and help answer at once.
"""

import argparse
import importlib
import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .batch import command as batch
from .batch.unpack import quoted

if TYPE_CHECKING:
    from .answers import Prediction, Text

PACKAGE = Path(__file__).parent
GRACE = 25  # seconds in which requests under way are answered after SIGTERM
WRONG, STOPPED = 2, 130  # exit statuses: wrong arguments or set-up, and Ctrl+C, as in a shell

# Commands of a checkout: they are no part of the installed package.
WORKSHOP = {  # name: module, what it does
    "train": ("training.train", "train a network"),
    "export": ("training.export", "turn a trained network into models/NAME.onnx"),
    "evaluate": ("training.evaluate", "measure the models on the test set"),
    "report": ("training.report", "write docs/results.md and its plots from what was measured"),
    "benchmark": ("benchmarks", "measure speed or robustness"),
}
EXTRAS = {"training": "train", "benchmarks": "dev"}  # what they need besides the service


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if an image could not be read, 2 for wrong arguments or a wrong set-up."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):  # a name may have letters that the terminal has not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if arguments and arguments[0] in WORKSHOP:
        return workshop(arguments[0], arguments[1:])
    try:
        chosen = parser().parse_args(arguments)
        status = chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # `quintet predict *.png | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        return 0
    except KeyboardInterrupt:
        return STOPPED
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        print(_sentence(error), file=sys.stderr)
        return WRONG
    return status


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="quintet", description="Five networks read handwritten digits.")
    result.add_argument("--version", action="version", version=f"quintet {__version__}")
    commands = result.add_subparsers(metavar="COMMAND", required=True, title="commands")

    def add(name: str, says: str, run: Callable[[Namespace], int], **more: Any) -> argparse.ArgumentParser:
        more = {"description": f"{says[0].upper()}{says[1:]}."} | more
        command = commands.add_parser(name, help=says, **more)
        command.set_defaults(run=run)
        return command

    command = add("serve", "answer over HTTP", serve)
    command.add_argument("--port", type=port, default=3000, help="default: 3000")
    command.add_argument("--host", default="0.0.0.0", help="address to listen on; default: 0.0.0.0, all of them")
    for name, says, run in (
        ("predict", "read one digit from each image", predict),
        ("read", "read the numbers on each image, line by line", read),
    ):
        command = add(name, says, run)
        command.add_argument("images", nargs="+", metavar="IMAGE")
        command.add_argument("--models", help="names separated by commas; default: all")
        command.add_argument(
            "--json", action="store_true", help="one JSON object for each image, as the service answers"
        )
        if run is read:
            command.add_argument("--no-turn", action="store_true", help="read each page as it lies, never turned")
    about, _, more = (batch.__doc__ or "").partition("\n\n")
    texts = {"description": about, "epilog": more, "formatter_class": argparse.RawDescriptionHelpFormatter}
    command = add("batch", "read any number of images into a table", batch.run, **texts)
    batch.add_arguments(command)
    add("settings", "print the environment variables that the service reads", settings)
    for name, (_, says) in WORKSHOP.items():
        commands.add_parser(name, help=f"{says} (in a checkout)", add_help=False)
    return result


def port(text: str) -> int:
    """A TCP port from the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 1 to 65535.")
    return int(text)


def serve(arguments: Namespace) -> int:
    """Start BentoML's server, which says in one sentence if it cannot listen there."""
    command = [sys.executable, "-m", "bentoml", "serve", f"{PACKAGE.name}.bento:Quintet"]
    command += ["--working-dir", str(PACKAGE.parent), "--timeout-graceful-shutdown", str(GRACE)]
    command += ["--host", arguments.host, "--port", str(arguments.port)]
    if os.name == "posix":
        os.execv(command[0], command)  # signals go to the server itself
    return subprocess.call(command)


def settings(_: Namespace) -> int:
    """Print the table of settings."""
    from .settings import PREFIX, Settings

    rows = [("variable", "default", "meaning")]
    for name, field in Settings.model_fields.items():
        default = field.default if field.default not in (None, ()) else "none"
        shown = ",".join(default) if isinstance(default, tuple) else str(default)
        rows.append((PREFIX + name.upper(), shown, field.description or ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def predict(arguments: Namespace) -> int:
    from .recogniser import Recogniser

    recogniser = Recogniser()
    names = recogniser.predictor.choose(arguments.models)
    columns = ["digit", "confidence", "accepted", *names, "reason"]
    return _each(arguments, columns, lambda path: recogniser.predict(path, names), _digit)


def read(arguments: Namespace) -> int:
    from .recogniser import Recogniser

    recogniser = Recogniser()
    names = recogniser.predictor.choose(arguments.models)
    columns = ["line", "confidence", "refused", "text", "transcript"]
    return _each(arguments, columns, lambda path: recogniser.read(path, names, turn=not arguments.no_turn), _lines)


def _each(
    arguments: Namespace, columns: list[str], ask: Callable[[Path], Any], rows: Callable[[Any], list[list[str]]]
) -> int:
    """Print what `ask` says of each image, as JSON or as a table whose rows for one image `rows` makes."""
    shown = [name if name.isprintable() else quoted(name) for name in arguments.images]
    width = max(len("image"), *map(len, shown))
    counts = sys.stderr.isatty() and not sys.stdout.isatty() and len(shown) > 1
    if not arguments.json:
        print("  ".join([f"{'image':{width}}", *columns]), flush=True)
    status = 0
    for number, (path, name) in enumerate(zip(arguments.images, shown, strict=True)):
        if counts:
            print(f"{number:,} of {len(shown):,} images", end="\r", file=sys.stderr, flush=True)
        try:
            answer = ask(_file(path))
        except Exception as error:  # whatever it is, the other images are read
            print(f"{name}: {_sentence(error, named=False)}", file=sys.stderr)
            status = 1
            continue
        if arguments.json:
            print(json.dumps({"image": name} | answer.model_dump(exclude_unset=True)), flush=True)
            continue
        for row in rows(answer):
            cells = [f"{cell:>{len(column)}}" for cell, column in zip(row, columns, strict=True)]
            print("  ".join([f"{name:{width}}", *cells]).rstrip(), flush=True)
    if counts:
        print(" " * 40, end="\r", file=sys.stderr)
    return status


def _file(name: str) -> Path:
    """Raises OSError for what is there but no file: a pipe is never read to its end."""
    path = Path(name)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(0, "It is a pipe, a socket or a device, not a file")
    return path


def _digit(answer: "Prediction") -> list[list[str]]:
    accepted = "yes" if answer.accepted else "no"
    own = [str(model.digit) for model in answer.models]
    return [[str(answer.digit), f"{answer.confidence:.4f}", accepted, *own, answer.reason or ""]]


def _lines(answer: "Text") -> list[list[str]]:
    """One row for each line of the image; a line's confidence is that of its least certain accepted digit."""
    rows = []
    lines = sorted({mark.line for mark in answer.marks})
    for line, transcript in zip(lines, answer.transcript.split("\n"), strict=bool(lines)):
        marks = [mark for mark in answer.digits if mark.line == line]
        accepted = [mark for mark in marks if mark.accepted]
        confidence = f"{min(mark.confidence for mark in accepted):.4f}" if accepted else "-"
        text = " ".join(number.number for number in answer.numbers if number.line == line) or "-"
        rows.append([str(line + 1), confidence, str(len(marks) - len(accepted)), text, transcript])
    return rows or [["-"] * 5]


def _sentence(error: Exception, named: bool = True) -> str:
    """What an error says to people. named: also the file that it is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}." if named and error.filename else f"{error.strerror}."
    return str(error) or type(error).__name__


def workshop(name: str, rest: Sequence[str]) -> int:
    """Run a command of WORKSHOP. Returns its exit status."""
    title, module = f"quintet {name}", WORKSHOP[name][0]
    if PACKAGE.name != "service":
        print(f"{title} is not part of the installed package; run it in a checkout of the project.", file=sys.stderr)
        return WRONG
    if name == "benchmark":
        which = argparse.ArgumentParser(prog=title, description=f"{WORKSHOP[name][1].capitalize()}.")
        names = importlib.import_module(module).NAMES
        which.add_argument("name", metavar="NAME", choices=names, help=", ".join(names))
        chosen = which.parse_args(rest[:1]).name
        title, module, rest = f"{title} {chosen}", f"benchmarks.{chosen}", rest[1:]
    sys.argv[0] = title  # argparse takes a parser's name from here
    try:
        return importlib.import_module(module).main(rest) or 0
    except ModuleNotFoundError as error:
        missing, package = (error.name or "").partition(".")[0], module.partition(".")[0]
        if missing in ("service", "training", "benchmarks", "tests"):
            raise
        print(f"{title} needs {missing}; install it with: pip install '.[{EXTRAS[package]}]'", file=sys.stderr)
        return WRONG
