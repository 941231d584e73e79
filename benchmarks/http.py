"""The service over HTTP against its own floor: requests/s and latency at 1, 4, 16 and 64 connections.

Starts `bentoml serve` and the floor (benchmarks.floor: the same code in bare Starlette and uvicorn, with uvloop and
httptools) in turn, several rounds of each so that the machine's moods meet both, and loads them from another process in
a closed loop (benchmarks.load). What bounds it: the cores, which the load shares. With --minutes it is a soak of the
service alone instead (benchmarks.soak). The last line of the output is JSON.

    python -m benchmarks.http
    python -m benchmarks.http --minutes 30
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime
import psutil
from PIL import Image
from tqdm import tqdm

from benchmarks import load, soak
from benchmarks.offline import hardware
from service import settings as environment
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.digit import canonicalise

Process = subprocess.Popen[bytes]
Row = dict[str, Any]  # what one load gave

HOST = "127.0.0.1"
EXAMPLES = Path(__file__).parent.parent / "examples"
CONNECTIONS = 1, 4, 16, 64
CHOICES = {"cnn": "/predict?models=cnn", "all": "/predict"}
WARM_UP = 2.0  # seconds of load before the clock
START = 60.0  # seconds that a server has to become ready


def commands(port: int, workers: int) -> dict[str, list[str]]:
    """The two servers' command lines."""
    floor = "--loop uvloop --http httptools --no-access-log --log-level warning"
    uvicorn = f"-m uvicorn benchmarks.floor:app --host {HOST} --port {port} --workers {workers} {floor}"
    return {
        "floor": [sys.executable, *uvicorn.split()],
        "service": [sys.executable, *f"-m bentoml serve service.bento:Quintet --host {HOST} --port {port}".split()],
    }


@contextmanager
def serving(kind: str, workers: int, threads: int) -> Iterator[tuple[int, Process, float]]:
    """A running server of one kind, as its port and its process; also says how many seconds it took to be ready."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    settings = {
        "QUINTET_WORKERS": str(workers),
        "QUINTET_THREADS": str(threads),
        "QUINTET_CONCURRENCY": "1024",
        "QUINTET_DRAIN": "0",
    }
    variables = os.environ | settings | {"BENTOML_DO_NOT_TRACK": "true"}
    started = time.perf_counter()
    process = subprocess.Popen(
        commands(port, workers)[kind],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(process, port)
        yield port, process, time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.wait()


def _wait(process: Process, port: int) -> None:
    deadline = time.perf_counter() + START
    while time.perf_counter() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended while starting.")
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=1)
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"{process.args} was not ready after {START:.0f} s.")


def small() -> bytes:
    """A digit of 28x28 pixels as PNG: the least that an upload can be, so that what surrounds it weighs most."""
    picture, _ = grey_from_upload((EXAMPLES / "seven.png").read_bytes(), 10**6, FORMATS)
    file = BytesIO()
    Image.fromarray(canonicalise(picture).image).save(file, "PNG")
    return file.getvalue()


def measure(port: int, path: str, image: bytes, connections: int, seconds: float) -> Row:
    """Requests/s, latency percentiles and the statuses of one load with the bytes of an image."""
    message = load.request(path, image, "application/octet-stream", HOST)
    found = load.measure(HOST, port, [message], connections, seconds, WARM_UP)
    times = found["milliseconds"]
    if not times:
        raise RuntimeError(f"{path} was not answered once: {found['statuses']}")
    p50, p95, p99 = np.percentile(times, (50, 95, 99)).round(3).tolist()
    return {
        "connections": connections,
        "requests_per_sec": round(len(times) / seconds, 1),
        "latency_p50_ms": p50,
        "latency_p95_ms": p95,
        "latency_p99_ms": p99,
        "statuses": found["statuses"],
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every case of service and floor, in rounds; of each case the median round."""
    cases = [(models, connections) for models in CHOICES for connections in arguments.connections]
    rounds: dict[tuple[str, str, int], list[Row]] = {}
    bar = tqdm(total=arguments.rounds * 2 * len(cases))
    ready = []
    for turn in range(arguments.rounds):
        for kind in ("floor", "service") if turn % 2 == 0 else ("service", "floor"):
            with serving(kind, arguments.workers, arguments.threads) as (port, _, seconds):
                if kind == "service":
                    ready.append(round(seconds, 2))
                for models, connections in cases:
                    row = measure(port, CHOICES[models], arguments.image, connections, arguments.seconds)
                    rounds.setdefault((kind, models, connections), []).append(row)
                    bar.update()
    bar.close()
    rows = []
    for (kind, models, _), found in rounds.items():
        found = sorted(found, key=lambda row: row["requests_per_sec"])
        rows.append({"server": kind, "models": models} | found[len(found) // 2])
    return {"ready_s": ready, "rows": rows}


def table(rows: Sequence[Row]) -> str:
    lines = [f"{'models':<7} {'connections':>11} {'server':<8} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} of floor"]
    floors = {(r["models"], r["connections"]): r for r in rows if r["server"] == "floor"}
    for row in sorted(rows, key=lambda r: (r["models"], r["connections"], r["server"])):
        share = row["requests_per_sec"] / floors[row["models"], row["connections"]]["requests_per_sec"]
        lines.append(
            f"{row['models']:<7} {row['connections']:>11} {row['server']:<8} {row['requests_per_sec']:>8,.0f} "
            f"{row['latency_p50_ms']:>8.2f} {row['latency_p99_ms']:>8.2f} {share:>8.2f}"
        )
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Requests/s by connections, a line for each server and choice of models."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(CHOICES), figsize=(9, 3.5))
    for axis, models in zip(axes, CHOICES, strict=True):
        for kind in ("floor", "service"):
            line = sorted(
                (r["connections"], r["requests_per_sec"]) for r in rows if (r["server"], r["models"]) == (kind, models)
            )
            axis.plot(*zip(*line, strict=True), "o-", label=kind)
        axis.set(title=f"models: {models}", xscale="log", xlabel="connections", ylabel="requests/s", ylim=(0, None))
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each case and round; default: 5")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3, of which the median is shown")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS, help="default: 1 4 16 64")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server; default: 1")
    parser.add_argument("--threads", type=int, help="of one inference; default: the cores it may use")
    parser.add_argument("--minutes", type=float, help="soak for so long instead")
    parser.add_argument("--image", type=Path, help="what is uploaded; default: a digit of 28x28 pixels")
    parser.add_argument("--plot", type=Path, help="a picture of the comparison")
    arguments = parser.parse_args(argv)
    arguments.image = arguments.image.read_bytes() if arguments.image else small()
    arguments.threads = arguments.threads or environment.load().threads
    setting = {
        "hardware": hardware(),
        "image_bytes": len(arguments.image),
        "threads": arguments.threads,
        "workers": arguments.workers,
        "bentoml": bentoml.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    try:
        if arguments.minutes:
            with serving("service", arguments.workers, arguments.threads) as (port, process, _):
                result = soak.soak(HOST, port, psutil.Process(process.pid), arguments.minutes)
            print(soak.report(result))
        else:
            result = compare(arguments)
            print(table(result["rows"]))
            if arguments.plot:
                plot(result["rows"], arguments.plot)
    except RuntimeError as error:
        sys.exit(str(error))
    print(json.dumps({"setting": setting} | result))


if __name__ == "__main__":
    main()
