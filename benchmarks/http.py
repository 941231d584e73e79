"""How fast is the service over HTTP, beside its floor and its peers (benchmarks.peers)?

The servers run in turn, several rounds of each, so that other load hits all alike. A digit of 28x28 pixels is sent over
1, 4, 16 and 64 connections; the cores, which the load shares, are the limit. `cpu_ms` is the time that all processes of
a server spend on the cores for one request; other work on the machine hardly changes it. A soak of the service alone:

    python -m benchmarks.http --minutes 30   # a mixture of requests: do memory, open files and threads grow?
"""

import argparse
import base64
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from benchmarks.peers import COMMANDS, PEERS, missing, path_of
from benchmarks.records import EXAMPLES, Record, hardware, parser, show
from benchmarks.servers import Process, family, form, load, processor_seconds, request, serving
from service import settings as environment
from service.recogniser import Recogniser
from training.records import table_of

Row = dict[str, Any]  # what one load gave

CONNECTIONS = 1, 4, 16, 64
SHOWN = 1, 16, 64  # of these, in docs/results.md
WARM_UP = 1.0  # seconds of load before the clock

SAMPLE = 5.0  # seconds between two samples of the processes of a soak
SETTLED = 300.0  # seconds after which nothing should grow
SOAKING = 16  # connections
WEIGHTS = {"/predict": 8, "/predict/batch": 2, "/v2": 2, "/read": 4, "bad": 4}
ORDER = 1_000  # requests before the mixture repeats itself
TITLES = {"memory_mb": "memory, MB", "file_descriptors": "open files", "threads": "threads"}


# Beside other servers.


def small() -> bytes:
    """A digit of 28x28 pixels as PNG: the least that an upload can be, so that what surrounds it weighs most."""
    explained = Recogniser(models=None, device="cpu").predict(EXAMPLES / "seven.png", "cnn", explain=True).explain
    assert explained is not None
    return base64.b64decode(explained.image.partition(",")[2])


def measure(port: int, process: Process, path: str, image: bytes, connections: int, seconds: float) -> Row:
    """Requests/s, latency percentiles, the cores' time and the statuses of one load with the bytes of an image."""
    busy = processor_seconds(process)
    found = load(port, [request(path, image, "image/png")], connections, seconds, WARM_UP)
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


def compare(arguments: argparse.Namespace, settings: dict[str, int]) -> Record:
    """Every case of every server, in rounds: a row for each."""
    kinds, cases = arguments.servers, [(models, n) for models in arguments.models for n in arguments.connections]
    image = small()
    bar = tqdm(total=arguments.rounds * len(kinds) * len(cases))
    ready, rows = [], []
    for turn in range(arguments.rounds):
        first = turn % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            with serving(COMMANDS[kind], **settings) as (port, process, seconds):
                if kind == "service":
                    ready.append(round(seconds, 2))
                for models, connections in cases:
                    row = measure(port, process, path_of(kind, models), image, connections, arguments.seconds)
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
        medians = {name: float(np.median([row[name] for row in own])) for name in ("requests_per_sec", "cpu_ms")}
        ours = {row["round"]: row["requests_per_sec"] for row in cases.get((models, connections, "service"), [])}
        ratios = [ours[row["round"]] / row["requests_per_sec"] for row in own if row["round"] in ours]
        ratio = [float(np.median(ratios)), min(ratios), max(ratios)] if ratios else None
        case = {"models": models, "connections": connections, "server": server}
        found.append(case | medians | {"service_ratio": ratio})
    return found


def compared(record: Record) -> str:
    """Requests/s and processor time of each server, and how many requests the service answers for one of the floor."""
    rows, setting = summary(record["rows"]), record["setting"]
    rows = [row for row in rows if row["connections"] in SHOWN] or rows
    cases = list(dict.fromkeys((row["models"], row["connections"]) for row in rows))
    lines, ratios = [], []
    for server in dict.fromkeys(row["server"] for row in record["rows"]):
        own = [row for row in rows if row["server"] == server]
        lines.append([server, *(f"{row['requests_per_sec']:,.0f}, {row['cpu_ms']:.2f} ms" for row in own)])
        if server == "floor" and own[0]["service_ratio"]:
            ratios = [["service/floor", *("{:.2f} ({:.2f}–{:.2f})".format(*row["service_ratio"]) for row in own)]]
    head = ["requests/s, CPU time each", *(f"{models}, {connections} conn." for models, connections in cases)]
    packages = "".join(f", {name} {setting[name]}" for name in PEERS if name in setting)
    where = (
        f"{setting['workers']} worker, {setting['threads']} threads of {setting['hardware']}, load average "
        f"{setting['load_average']:.1f}, {setting['rounds']} rounds of {setting['seconds']:g} s: medians and ranges"
        f"{packages}."
    )
    return f"{table_of(head, lines + ratios)}\n{where}"


# A soak.


def mixture() -> list[bytes]:
    """The requests of a soak, in a fixed order. A fifth are bad, of four kinds."""
    pictures = [path.read_bytes() for path in sorted(EXAMPLES.iterdir()) if path.suffix in (".png", ".jpg")]
    tensor = {"name": "images", "datatype": "UINT8", "shape": [4, 1, 28, 28], "data": [128] * 4 * 28 * 28}
    kinds = {
        "/predict": [request("/predict?explain=true", picture) for picture in pictures],
        "/predict/batch": [request("/predict/batch", *form(pictures[:4]))],
        "/v2": [request("/v2/models/consensus/infer", json.dumps({"inputs": [tensor]}).encode(), "application/json")],
        "/read": [request("/read", picture) for picture in pictures],
        "bad": [
            request("/predict", b"no image"),
            request("/predict", pictures[0][: len(pictures[0]) // 2]),
            request("/read?models=resnet", pictures[0]),
            request("/predict", pictures[0], "text/plain"),
        ],
    }
    chance = random.Random(0)
    return [chance.choice(kinds[kind]) for kind in chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=ORDER)]


def soak(port: int, process: Process, minutes: float) -> Record:
    """The answers, and the memory, open files and threads of a server and its children over time."""
    samples: list[dict[str, float]] = []
    with ThreadPoolExecutor(1) as pool, tqdm(total=round(60 * minutes), unit="s") as bar:
        running = pool.submit(load, port, mixture(), SOAKING, 60 * minutes)
        while not running.done():
            processes = family(process)
            samples.append(
                {
                    "memory_mb": sum(one.memory_info().rss for one in processes) / 1e6,
                    "file_descriptors": sum(one.num_fds() for one in processes),
                    "threads": sum(one.num_threads() for one in processes),
                }
            )
            time.sleep(SAMPLE)
            bar.update(SAMPLE)
        return {"minutes": minutes} | settled(samples, running.result()["statuses"])


def settled(samples: list[dict[str, float]], statuses: dict[int | str, int]) -> Record:
    """The figures of a soak, from its samples (one per SAMPLE seconds) and its counts of statuses."""
    counts = Counter(statuses)
    later = samples[min(round(SETTLED / SAMPLE), len(samples) - 1) :]
    result: Record = {
        "answers": sum(count for status, count in counts.items() if isinstance(status, int)),
        "errors": sum(count for status, count in counts.items() if isinstance(status, str) or status >= 500),
        "statuses": {str(status): count for status, count in counts.items()},
    }
    for name in samples[0]:
        values = [sample[name] for sample in later]
        part = max(1, len(values) // 6)
        result[name] = {
            "settled": round(float(np.median(values[:part])), 1),
            "last": round(float(np.median(values[-part:])), 1),
            "highest": round(max(values), 1),
        }
    return result


def soaked(record: Record) -> str:
    head = ["", f"after {SETTLED / 60:g} minutes", "at the end", "highest"]
    rows = [
        [title, *(f"{record[key][when]:g}" for when in ("settled", "last", "highest"))] for key, title in TITLES.items()
    ]
    said = f"{record['answers']:,} answers in {record['minutes']:g} minutes, {record['errors']} errors."
    return f"{table_of(head, rows)}\n{said}"


TABLES = {"http": compared, "soak": soaked}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=5.0, help="of load for each case and round; default: 5")
    options.add_argument("--rounds", type=int, default=3, help="default: 3, of which the median is shown")
    options.add_argument(
        "--servers", nargs="+", choices=COMMANDS, help="default: the service and all that are installed"
    )
    options.add_argument("--models", nargs="+", choices=("cnn", "all"), default=["cnn", "all"], help="default: both")
    options.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS, help="default: 1 4 16 64")
    options.add_argument("--workers", type=int, default=1, help="processes of the service; default: 1")
    options.add_argument("--minutes", type=float, help="soak for so long instead")
    arguments = options.parse_args(argv)
    settings = {"workers": arguments.workers, "threads": environment.load().threads}
    setting: Record = {"hardware": hardware(), "load_average": os.getloadavg()[0], **settings}
    setting |= {"onnxruntime": onnxruntime.__version__, "seconds": arguments.seconds, "rounds": arguments.rounds}
    try:
        if arguments.minutes:
            with serving(**settings) as (port, process, _):
                record = {"setting": setting} | soak(port, process, arguments.minutes)
            return show("soak", record, soaked, arguments.record)
        absent = missing()
        for kind in absent:
            print(f"{kind} is not installed, so it is left out.")
        arguments.servers = arguments.servers or [kind for kind in COMMANDS if kind not in absent]
        setting |= {kind: version(kind) for kind in PEERS if kind not in absent}
        show("http", {"setting": setting} | compare(arguments, settings), compared, arguments.record)
    except RuntimeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
