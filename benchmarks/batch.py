"""How many images does `quintet batch` read, without Ray and with one and two workers?

Some files are damaged on purpose. Each run is a process of its own, whose start counts, as it does for a user. With
10,000 images, it takes about five minutes on two cores.

    python -m benchmarks.batch --images 10000 --record
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from tqdm import tqdm

from benchmarks.records import REPOSITORY, Record, hardware, parser, show
from training.records import table_of

DAMAGED = 100  # one file in so many is truncated
BILLION = 10**9
WAYS = {"plain": "one process, without Ray", "ray_1": "Ray, 1 worker", "ray_2": "Ray, 2 workers"}
OPTIONS = {
    "plain": ["--engine", "plain"],
    "ray_1": ["--engine", "ray", "--workers", "1"],
    "ray_2": ["--engine", "ray", "--workers", "2"],
}


def make(folder: Path, count: int) -> None:
    """Write digits of random size, place, pen and paper, 120 to 300 pixels a side, as PNG and JPEG."""
    generator = np.random.default_rng(0)
    for number in range(count):
        side, scale, pen = generator.integers(120, 300), generator.uniform(2, 4), int(generator.integers(4, 12))
        paper, ink = int(generator.integers(180, 255)), int(generator.integers(0, 90))
        picture = np.full((side, side), paper, np.uint8)
        place = int(generator.integers(10, side // 3)), int(side - generator.integers(10, side // 4))
        cv2.putText(picture, str(number % 10), place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, pen, cv2.LINE_AA)
        kind = ".png" if number % 2 else ".jpg"
        data = cv2.imencode(kind, picture)[1].tobytes()
        (folder / f"{number:06}{kind}").write_bytes(data[: len(data) // 3] if number % DAMAGED == 0 else data)


def run(source: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """A run to its end. `processor_seconds` are those of all processes that it waited for: not those of Ray."""
    started, used = time.perf_counter(), _processor_seconds()
    command = [sys.executable, "-m", "service", "batch", str(source), "--out", str(out), *options]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(_processor_seconds() - used, 2),
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(record: Record) -> str:
    """What was measured, and what follows for 10^9 images."""
    images, cores = record["images"], record["cores"]
    parts: dict[str, dict[str, Any]] = record["parts"]
    rates = {name: images / parts[way]["seconds"] for way, name in WAYS.items() if way in parts}
    rows = [[name, f"{rate:,.0f}", f"{BILLION / rate / 86_400:,.0f}"] for name, rate in rates.items()]
    load = max(part["load_average_1min"] for part in parts.values())
    says = [f"{images:,} images, {cores} cores of {record['cpu']}, starting included; load average up to {load:.0f}."]
    if plain := parts.get("plain"):
        busy = plain["processor_seconds"] / images  # core-seconds of an image, starting included
        says.append(
            f"One process uses {busy * 1e3:,.1f} ms of a core for an image, so 10^9 images take "
            f"{busy * BILLION / 3600:,.0f} core-hours and {BILLION * record['bytes_per_image'] / 1e12:,.1f} TB, at "
            f"{record['bytes_per_image']:,} bytes each."
        )
    return f"{table_of(['way', 'images/s', 'days for 10^9 on this machine'], rows)}\n{' '.join(says)}"


TABLES = {"batch": table}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=10_000, help="default: 10,000")
    options.add_argument("--parts", nargs="+", choices=WAYS, default=list(WAYS), help="default: all of them")
    arguments = options.parse_args(argv)
    record: Record = {"images": arguments.images, "cores": len(os.sched_getaffinity(0)), "cpu": hardware()}
    record |= {"onnxruntime": onnxruntime.__version__, "parts": {}}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images"
        source.mkdir()
        make(source, arguments.images)
        record["bytes_per_image"] = round(sum(path.stat().st_size for path in source.iterdir()) / arguments.images)
        for part in tqdm(arguments.parts):
            figures = run(source, Path(folder) / part, OPTIONS[part])
            record["parts"][part] = figures | {"load_average_1min": round(os.getloadavg()[0], 1)}
    show("batch", record, table, arguments.record)


if __name__ == "__main__":
    main()
