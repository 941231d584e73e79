"""The service over HTTP against its own floor and its peers: requests/s and latency at 1, 4, 16 and 64 connections.

Starts `bentoml serve`, the floor (benchmarks.floor: the same code in bare Starlette and uvicorn, with uvloop and
httptools) and the peers (benchmarks.peers) in turn, several rounds of each so that the machine's moods meet all, and
loads them from another process in a closed loop (benchmarks.load). What bounds it: the cores, which the load shares.
`cpu_ms` is the time that all processes of a server spend on the cores for one request; other work on the machine hardly
changes it. With --minutes it is a soak of the service alone instead (benchmarks.soak). The last line of the output is
JSON.

    python -m benchmarks.http
    python -m benchmarks.http --minutes 30
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import psutil
from PIL import Image
from tqdm import tqdm

from benchmarks import load, soak
from benchmarks.offline import hardware
from benchmarks.servers import (
    COMMANDS,
    HOST,
    PATHS,
    PEERS,
    Process,
    is_preferred,
    missing,
    path_of,
    processor_seconds,
    serving,
)
from service import settings as environment
from service.inference.artefact import open_finder
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.digit import canonicalise
from service.picture.ink import FILE

Row = dict[str, Any]  # what one load gave

EXAMPLES = Path(__file__).parent.parent / "examples"
CONNECTIONS = 1, 4, 16, 64
WARM_UP = 1.0  # seconds of load before the clock


def small() -> bytes:
    """A digit of 28x28 pixels as PNG: the least that an upload can be, so that what surrounds it weighs most."""
    picture, _ = grey_from_upload((EXAMPLES / "seven.png").read_bytes(), 10**6, FORMATS)
    file = BytesIO()
    Image.fromarray(canonicalise(picture, open_finder(Path("models") / FILE, threads=1)).image).save(file, "PNG")
    return file.getvalue()


def measure(port: int, process: Process, path: str, image: bytes, connections: int, seconds: float) -> Row:
    """Requests/s, latency percentiles, the cores' time and the statuses of one load with the bytes of an image."""
    message = load.request(path, image, "image/png", HOST)
    busy = processor_seconds(process)
    found = load.measure(HOST, port, [message], connections, seconds, WARM_UP)
    busy = processor_seconds(process) - busy
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
        "cpu_ms": round(busy / found["answers"] * 1e3, 3),
        "statuses": found["statuses"],
    }


def compare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every case of every server, in rounds: a row for each."""
    kinds, cases = arguments.servers, [(models, n) for models in arguments.models for n in arguments.connections]
    bar = tqdm(total=arguments.rounds * len(kinds) * len(cases))
    ready, rows = [], []
    for turn in range(arguments.rounds):
        first = turn % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            with serving(kind, arguments.workers, arguments.threads) as (port, process, seconds):
                if kind == "service":
                    ready.append(round(seconds, 2))
                for models, connections in cases:
                    path = path_of(kind, models)
                    row = measure(port, process, path, arguments.image, connections, arguments.seconds)
                    rows.append({"round": turn, "server": kind, "models": models} | row)
                    bar.update()
    bar.close()
    return {"ready_s": ready, "rows": rows}


def summary(rows: Sequence[Row]) -> list[Row]:
    """For each case of each server: medians over the rounds, and the service's requests/s per one of its own.

    `service_ratio` is [median, lowest, highest] of the ratios within a round.
    """
    cases: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        cases.setdefault((row["models"], row["connections"], row["server"]), []).append(row)
    found = []
    for (models, connections, server), own in sorted(cases.items()):
        medians = {
            name: float(np.median([row[name] for row in own]))
            for name in ("requests_per_sec", "latency_p50_ms", "latency_p99_ms", "cpu_ms")
        }
        ours = {row["round"]: row["requests_per_sec"] for row in cases.get((models, connections, "service"), [])}
        ratios = [ours[row["round"]] / row["requests_per_sec"] for row in own if row["round"] in ours]
        ratio = [float(np.median(ratios)), min(ratios), max(ratios)] if ratios else None
        case = {"models": models, "connections": connections, "server": server}
        found.append(case | medians | {"service_ratio": ratio})
    return found


def table(rows: Sequence[Row]) -> str:
    lines = [
        f"{'models':<7} {'conn.':>5} {'server':<8} {'req/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>7} service/it"
    ]
    for row in summary(rows):
        ratio = row["service_ratio"]
        lines.append(
            f"{row['models']:<7} {row['connections']:>5} {row['server']:<8} {row['requests_per_sec']:>7,.0f} "
            f"{row['latency_p50_ms']:>8.2f} {row['latency_p99_ms']:>8.2f} {row['cpu_ms']:>7.2f} "
            + ("" if ratio is None else f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})")
        )
    return "\n".join(lines)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Requests/s by connections, a line for each server and choice of models."""
    from matplotlib import pyplot as plt

    medians = summary(rows)
    choices = sorted({row["models"] for row in rows})
    figure, axes = plt.subplots(1, len(choices), figsize=(9, 3.5), squeeze=False)
    for axis, models in zip(axes[0], choices, strict=True):
        for kind in dict.fromkeys(row["server"] for row in rows):
            line = [
                (row["connections"], row["requests_per_sec"])
                for row in medians
                if (row["server"], row["models"]) == (kind, models)
            ]
            axis.plot(*zip(*line, strict=True), "o-", label=kind)
        axis.set(title=f"models: {models}", xscale="log", xlabel="connections", ylabel="requests/s", ylim=(0, None))
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each case and round; default: 5")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3, of which the median is shown")
    parser.add_argument(
        "--servers", nargs="+", choices=COMMANDS, help="default: the service and all that are installed"
    )
    parser.add_argument("--models", nargs="+", choices=PATHS, default=list(PATHS), help="default: each of them")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS, help="default: 1 4 16 64")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server; default: 1")
    parser.add_argument("--threads", type=int, help="of one inference; default: the cores it may use")
    parser.add_argument("--minutes", type=float, help="soak for so long instead")
    parser.add_argument("--image", type=Path, help="what is uploaded; default: a digit of 28x28 pixels")
    parser.add_argument("--plot", type=Path, help="a picture of the comparison")
    arguments = parser.parse_args(argv)
    arguments.image = arguments.image.read_bytes() if arguments.image else small()
    arguments.threads = arguments.threads or environment.load().threads
    absent = missing()
    if arguments.servers is None:
        arguments.servers = [kind for kind in COMMANDS if kind not in absent]
        for kind in absent:
            print(f"{kind} is not installed, so it is left out.")
    setting = {
        "hardware": hardware(),
        "load_average": os.getloadavg()[0],
        "preferred": is_preferred(),
        "image_bytes": len(arguments.image),
        "threads": arguments.threads,
        "workers": arguments.workers,
        "onnxruntime": onnxruntime.__version__,
        "seconds": arguments.seconds,
        "rounds": arguments.rounds,
    } | {kind: version(kind) for kind in PEERS if kind not in absent}
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
