"""Read digits from image files, without a server.

quintet predict photo.jpg scan.png              # one digit in each image
quintet predict --json --models cnn,vit *.png
quintet read page.jpg                           # any number of digits, line by line
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .picture.errors import InvalidImage
from .recogniser import Recogniser

Result = dict[str, Any]  # the JSON of one answer


class Look(Protocol):
    """What is done with one image. Raises InvalidImage."""

    def __call__(self, path: Path, recogniser: Recogniser, names: list[str], /) -> Result: ...


class Show(Protocol):
    """The lines of the table for one image; `width` is that of the longest path."""

    def __call__(self, path: str, result: Result, width: int) -> list[str]: ...


def look_for_digit(path: Path, recogniser: Recogniser, names: list[str]) -> Result:
    """The JSON of one prediction, as POST /predict gives it."""
    return recogniser.predict(path, names).model_dump(exclude_unset=True)


def look_for_lines(path: Path, recogniser: Recogniser, names: list[str]) -> Result:
    """The JSON of what is read, as POST /read gives it."""
    return recogniser.read(path, names).model_dump(exclude_unset=True)


def show_digit(path: str, result: Result, width: int) -> list[str]:
    own = [f"{model['digit']:>{len(model['name'])}}" for model in result["models"]]
    accepted = "yes" if result["accepted"] else "no"
    cells = [f"{path:{width}}", f"{result['digit']:>5}", f"{result['confidence']:>10.4f}", f"{accepted:>8}", *own]
    if result["digits_seen"] > 1:
        cells.append(f"{result['digits_seen']} digits: quintet read")
    return ["  ".join(cells)]


def show_lines(path: str, result: Result, width: int) -> list[str]:
    """One row for each line of the image; a line's confidence is that of its least certain accepted digit."""
    rows = []
    for line in sorted({digit["line"] for digit in result["digits"]}):
        digits = [digit for digit in result["digits"] if digit["line"] == line]
        accepted = [digit for digit in digits if digit["accepted"]]
        confidence = f"{min(digit['confidence'] for digit in accepted):.4f}" if accepted else "-"
        text = "".join(str(digit["digit"]) for digit in accepted) or "-"
        cells = [f"{path:{width}}", f"{line + 1:>4}", f"{confidence:>10}", f"{len(digits) - len(accepted):>7}", text]
        rows.append("  ".join(cells))
    return rows or [f"{path:{width}}     -           -        -  -"]


def predict(argv: Sequence[str] | None = None) -> int:
    """`quintet predict`. Returns the exit status: 1 if an image could not be read."""
    columns = ["digit", "confidence", "accepted"]
    return _run(argv, "Read one digit from each image.", look_for_digit, show_digit, columns, with_models=True)


def read(argv: Sequence[str] | None = None) -> int:
    """`quintet read`. Returns the exit status: 1 if an image could not be read."""
    columns = ["line", "confidence", "refused", "text"]
    return _run(argv, "Read the numbers on each image, line by line.", look_for_lines, show_lines, columns)


def _run(
    argv: Sequence[str] | None, says: str, look: Look, show: Show, columns: list[str], with_models: bool = False
) -> int:
    parser = argparse.ArgumentParser(description=says)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument("--models", help="names separated by commas; default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object for each image, as the service answers")
    arguments = parser.parse_args(argv)
    try:
        recogniser = Recogniser()
        names = recogniser.predictor.choose(arguments.models)
    except (ValueError, RuntimeError) as error:
        parser.exit(2, f"{error}\n")
    width = max(len("image"), *(len(str(path)) for path in arguments.images))
    if not arguments.json:
        print("  ".join([f"{'image':{width}}", *columns, *(names if with_models else [])]))
    status = 0
    for path in arguments.images:
        try:
            result = look(path, recogniser, names)
        except (InvalidImage, OSError) as error:
            reason = f"{error.strerror}." if isinstance(error, OSError) else error
            print(f"{path}: {reason}", file=sys.stderr)
            status = 1
        else:
            lines = [json.dumps({"image": str(path)} | result)] if arguments.json else show(str(path), result, width)
            print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(predict())
