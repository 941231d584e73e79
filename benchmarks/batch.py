"""Images per second of `quintet batch`, without Ray and with one and two workers, and of HTTP, on the same files.

Some files are damaged on purpose. Each run is a separate process whose start is part of its time, as it is for a user;
the HTTP service is started before the clock. One more run is killed (SIGKILL, the whole group) after its first rows and
started again: its rows must equal those of an uninterrupted run.

    python -m benchmarks.batch --images 10000 --out results/batch.json
"""

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import onnxruntime

from benchmarks.offline import hardware
from service.batch import output
from tests.serving import serving

CLIENTS = 8  # simultaneous connections to the HTTP route
DAMAGED = 100  # one file in so many is truncated
REPOSITORY = Path(__file__).parent.parent


def make(folder: Path, count: int) -> list[Path]:
    """Write digits of random size, place, pen and paper, 120 to 300 pixels a side, as PNG and JPEG."""
    generator = np.random.default_rng(0)
    paths = []
    for number in range(count):
        side, scale, pen = generator.integers(120, 300), generator.uniform(2, 4), int(generator.integers(4, 12))
        paper, ink = int(generator.integers(180, 255)), int(generator.integers(0, 90))
        picture = np.full((side, side), paper, np.uint8)
        place = int(generator.integers(10, side // 3)), int(side - generator.integers(10, side // 4))
        cv2.putText(picture, str(number % 10), place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, pen, cv2.LINE_AA)
        kind = ".png" if number % 2 else ".jpg"
        data = cv2.imencode(kind, picture)[1].tobytes()
        paths.append(folder / f"{number:06}{kind}")
        paths[-1].write_bytes(data[: len(data) // 3] if number % DAMAGED == 0 else data)
    return paths


def command(source: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "service", "batch", str(source), "--out", str(out), *options]


def whole(source: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """A run that nobody stops. `processor_seconds` are those of all processes that it waited for: not those of Ray."""
    started, used = time.perf_counter(), _processor_seconds()
    subprocess.run(command(source, out, *options), check=True, cwd=REPOSITORY)
    seconds, used = time.perf_counter() - started, _processor_seconds() - used
    table = sum(path.stat().st_size for path in out.glob("*.parquet"))
    digest, count = _rows(source, out)
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(used, 2),
        "bytes_per_row": round(table / count, 1),
        "rows": digest,
    }


def killed(source: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """Kill a run after its first rows, and go on; `seconds` are those of the second call."""
    process = subprocess.Popen(command(source, out, *options), start_new_session=True, cwd=REPOSITORY)
    while not list(out.glob("[!_]*")):
        time.sleep(0.05)
        if process.poll() is not None:
            raise RuntimeError("the run ended before it could be killed")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = sum(1 for _ in output.rows(out, ["path"]))
    started = time.perf_counter()
    subprocess.run(command(source, out, *options), check=True, cwd=REPOSITORY)
    return {
        "rows_before": before,
        "seconds": round(time.perf_counter() - started, 2),
        "rows": _rows(source, out)[0],
    }


def over_http(source: Path, _out: Path, _options: list[str]) -> dict[str, Any]:
    """POST /predict for all files, CLIENTS at a time."""
    paths, kind = sorted(source.iterdir()), {"Content-Type": "application/octet-stream"}
    with (
        serving() as address,
        httpx2.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        started = time.perf_counter()
        for answer in pool.map(lambda path: client.post("/predict", content=path.read_bytes(), headers=kind), paths):
            if answer.status_code not in (200, 400):
                raise RuntimeError(answer.text)
        return {"seconds": round(time.perf_counter() - started, 2)}


def _rows(source: Path, out: Path) -> tuple[str, int]:
    """A digest of the rows of a result, whatever their order, their files and their folder; and how many there are."""
    rows = [row | {"path": os.path.relpath(row["path"], source)} for row in output.rows(out)]
    return hashlib.sha256(json.dumps(sorted(rows, key=lambda row: row["path"])).encode()).hexdigest(), len(rows)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


PLAIN, RAY_1, RAY_2 = (
    ["--engine", "plain"],
    ["--engine", "ray", "--workers", "1"],
    ["--engine", "ray", "--workers", "2"],
)
PARTS: dict[str, tuple[Callable[[Path, Path, list[str]], dict[str, Any]], list[str]]] = {
    "plain": (whole, PLAIN),
    "ray_1": (whole, RAY_1),
    "ray_2": (whole, RAY_2),
    "plain_killed": (killed, PLAIN),
    "ray_1_killed": (killed, RAY_1),
    "http": (over_http, []),
}


def main(argv: list[str] | None = None) -> int:
    """Returns 1 if two runs have different rows."""
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch",
        description=about,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all of them")
    parser.add_argument("--out", type=Path, required=True, help="the file of figures, JSON")
    arguments = parser.parse_args(argv)
    record: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if record.get("images") != arguments.images:
        record = {"images": arguments.images, "parts": {}}  # figures of other files are no use
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images"
        source.mkdir()
        paths = make(source, arguments.images)
        record |= {
            "bytes_per_image": round(sum(path.stat().st_size for path in paths) / len(paths)),
            "cores": len(os.sched_getaffinity(0)),
            "cpu": hardware(),
            "onnxruntime": onnxruntime.__version__,
        }
        for part in arguments.parts:
            work, options = PARTS[part]
            figures = work(source, Path(folder) / part, options)
            record["parts"][part] = figures | {"load_average_1min": round(os.getloadavg()[0], 1)}
            arguments.out.write_text(json.dumps(record, indent=1) + "\n")
            print(json.dumps({part: record["parts"][part]}), flush=True)
    return int(len({part["rows"] for part in record["parts"].values() if "rows" in part}) > 1)


if __name__ == "__main__":
    sys.exit(main())
