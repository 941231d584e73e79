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
import platform
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import httpx2
import numpy as np
import onnxruntime

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
    return [sys.executable, "-m", "service.batch", str(source), "--out", str(out), *options]


def timed(source: Path, out: Path, *options: str) -> float:
    started = time.perf_counter()
    subprocess.run(command(source, out, *options), check=True, cwd=REPOSITORY)
    return time.perf_counter() - started


def digest(out: Path) -> str:
    """The rows of a result, in an order that does not depend on its files."""
    rows = sorted(output.rows(out), key=lambda row: row["path"])
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def killed(source: Path, out: Path, *options: str) -> tuple[int, float]:
    """Kill a run after its first rows and start it again. Returns the rows so far and the seconds of the second run."""
    process = subprocess.Popen(command(source, out, *options), start_new_session=True, cwd=REPOSITORY)
    while not list(out.glob("[!_]*")):
        time.sleep(0.05)
        if process.poll() is not None:
            raise RuntimeError("The run ended before it could be killed.")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = sum(1 for _ in output.rows(out, ["path"]))
    return before, timed(source, out, *options)


def over_http(paths: list[Path]) -> float:
    """Seconds in which POST /predict answers all files."""
    kind = {"Content-Type": "application/octet-stream"}
    with (
        serving() as address,
        httpx2.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        started = time.perf_counter()
        for answer in pool.map(lambda path: client.post("/predict", content=path.read_bytes(), headers=kind), paths):
            if answer.status_code not in (200, 400):
                raise RuntimeError(answer.text)
        return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=about, epilog=more)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
    arguments = parser.parse_args(argv)
    ways = {"plain": ["--engine", "plain"]} | {
        f"ray_{workers}": ["--engine", "ray", "--workers", str(workers)] for workers in (1, 2)
    }
    seconds: dict[str, float] = {}
    rows: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "images"
        source.mkdir()
        paths = make(source, arguments.images)
        for way, options in ways.items():
            seconds[way] = timed(source, Path(folder) / way, *options)
            rows[way] = digest(Path(folder) / way)
        kills: dict[str, Any] = {}
        for way in ("plain", "ray_1"):
            before, again = killed(source, Path(folder) / f"{way}_killed", *ways[way])
            same = digest(Path(folder) / f"{way}_killed") == rows["plain"]
            kills[way] = {"rows_before": before, "seconds_after": round(again, 1), "same_rows": same}
        table = sum(path.stat().st_size for path in (Path(folder) / "plain").glob("*.parquet"))
        seconds["http"] = over_http(paths)
        figures = {
            "images": arguments.images,
            "bytes_per_image": round(sum(path.stat().st_size for path in paths) / len(paths)),
            "bytes_per_row": round(table / len(paths), 1),
            "images_per_second": {way: round(arguments.images / taken, 1) for way, taken in seconds.items()},
            "same_rows": len(set(rows.values())) == 1,
            "killed": kills,
            "cores": len(os.sched_getaffinity(0)),
            "cpu": _cpu(),
            "load_average_1min": round(os.getloadavg()[0], 1),
            "onnxruntime": onnxruntime.__version__,
        }
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))
    return int(not figures["same_rows"] or not all(kill["same_rows"] for kill in kills.values()))


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
