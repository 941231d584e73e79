"""The pictures and tables of docs/reading.md: from examples/ alone, and from what was recorded in results/.

python -m benchmarks.illustrate
"""

import argparse
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np

from service.inference.predictor import Predictor
from service.picture import decode
from service.picture.digit import LOOK, canonicalise
from service.picture.ink import InkFinder
from service.reading.reader import page_ink, read

HEIGHT = 200  # pixels of a panel
BOX = 40, 40, 200  # blue, green, red


def panel(picture: np.ndarray, title: str) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) uint8 under its title, HEIGHT pixels high."""
    colours = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
    width = max(1, round(HEIGHT * colours.shape[1] / colours.shape[0]))
    large = cv2.resize(
        colours, (width, HEIGHT), interpolation=cv2.INTER_AREA if HEIGHT < len(colours) else cv2.INTER_NEAREST
    )
    head = np.full((26, max(width, 10 * len(title)), 3), 255, np.uint8)
    cv2.putText(head, title, (2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, np.pad(large, ((0, 0), (0, head.shape[1] - width), (0, 0)), constant_values=255)])


def row(panels: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.pad(one, ((8, 8), (8, 8), (0, 0)), constant_values=255) for one in panels], 1)


def grey(path: Path) -> np.ndarray:
    return decode.grey_from_upload(path.read_bytes(), 16_000_000, decode.FORMATS)[0]


def steps(path: Path, finder: InkFinder) -> np.ndarray:
    """From an upload to the 28x28 that the models see."""
    picture = grey(path)
    canonical = canonicalise(picture, finder)
    ink, _ = finder.find(picture, LOOK)
    alone = ink if canonical.ink is None else canonical.ink
    return row(
        [
            panel(np.asarray(cv2.imread(str(path))), "upload"),
            panel(picture, "1 grey, upright"),
            panel(255 - ink, "2 ink"),
            panel(255 - alone, "3 one digit"),
            panel(canonical.image, "4 28x28"),
        ]
    )


def page(path: Path, predictor: Predictor) -> np.ndarray:
    """What is read on a page, with the box of each digit."""
    picture = grey(path)
    ink, _ = page_ink(picture, predictor.finder)
    marks = read(picture, predictor, predictor.finder, predictor.names).readings
    shown = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    for mark in marks:
        x, y, right, bottom = (round(side) for side in mark.box)
        cv2.rectangle(shown, (x, y), (right, bottom), BOX, 2)
        cv2.putText(shown, str(mark.digit), (x, max(y - 6, 20)), cv2.FONT_HERSHEY_SIMPLEX, 1.0, BOX, 2, cv2.LINE_AA)
    above = row([panel(shown, "page"), panel(255 - ink, "ink")])
    below = row([panel(mark.image, str(mark.digit)) for mark in marks])
    return np.concatenate([_wide(above, below), _wide(below, above)])


def _wide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One picture as wide as the wider of two."""
    missing = max(one.shape[1], other.shape[1]) - one.shape[1]
    return np.pad(one, ((0, 0), (0, missing), (0, 0)), constant_values=255)


def hostile(record: dict) -> str:
    """The table of benchmarks.hostile."""
    setting = record["setting"]
    rows = [
        f"| {kind} | {worst['most_cpu_s']['cpu_s']:.2f} | {worst['most_rise_mb']['rise_mb']:.0f} "
        f"| {worst['most_log_bytes']['log_bytes']} |"
        for kind, worst in record["formats"].items()
    ]
    head = ["| format | CPU seconds | memory, MB | printed, bytes |", "| --- | --: | --: | --: |"]
    return "\n".join([*head, *rows, "", f"{setting['files']} files a format on {setting['hardware']}."])


def ablation(record: dict) -> str:
    """The tables of benchmarks.ablation, a route each."""
    parts = []
    for route in ("predict", "read"):
        count, right = record[route]["count"], record[route]["right"]
        full = right["nothing"]
        lines = [f"| `/{route}` without | " + " | ".join(count) + " |", "| --- |" + " --: |" * len(count)]
        lines.append("| nothing, right of all | " + " | ".join(f"{full[key]} of {count[key]}" for key in count) + " |")
        for name, row in right.items():
            if name != "nothing":
                lines.append(f"| {name} | " + " | ".join(f"{row[key] - full[key]:+}" for key in count) + " |")
        parts.append("\n".join(lines))
    setting = record["setting"]
    return "\n\n".join([*parts, f"Read by {' and '.join(setting['models'])}, two of the five models, to save time."])


def fill(text: str, name: str, table: str) -> str:
    """A document with a table put between its marks, `<!-- name -->` and `<!-- /name -->`."""
    marks = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(marks, lambda found: found[1] + table + "\n" + found[2], text, flags=re.DOTALL)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=Path, default=Path("examples"), help="default: examples")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="default: docs")
    arguments = parser.parse_args(argv)
    document, images = arguments.docs / "reading.md", arguments.docs / "images"
    text = document.read_text()
    for table in (hostile, ablation):
        record = Path("results") / f"{table.__name__}.json"
        if record.exists():
            text = fill(text, table.__name__, table(json.loads(record.read_text())))
    document.write_text(text)
    images.mkdir(exist_ok=True)
    predictor = Predictor(Path("models"), "cpu", len(os.sched_getaffinity(0)))
    for name in ("three.jpg", "seven.png", "two.png"):
        path = arguments.examples / name
        cv2.imwrite(str(images / f"steps-{path.stem}.png"), steps(path, predictor.finder))
    cv2.imwrite(str(images / "read.png"), page(arguments.examples / "number.jpg", predictor))


if __name__ == "__main__":
    main()
