"""What does a hostile upload cost? The processor time and memory of the service for the worst of many of each format.

Uploads of up to 10 MB (tests/hostile/bombs.py) are sent one after another to a service of one worker: to /predict, to
/read, and to /predict/batch as many times as fit. Memory is how far all of its processes rise above rest.

    python -m benchmarks.hostile --files 30 --formats TIFF
"""

import os
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from benchmarks.records import EXAMPLES, Record, hardware, parser, show
from benchmarks.servers import BINARY, HOST, Process, form, megabytes, processor_seconds, serving
from tests.hostile import bombs
from training.records import table_of

SAMPLES = 0.004  # seconds between two looks at the memory
BATCH = 32  # images in one call of /predict/batch
ROUTES = "/predict", "/read", "/predict/batch"


def send(port: int, route: str, data: bytes) -> tuple[int, str]:
    """The status of an upload, and the sentence or the beginning of the answer."""
    body, kind = data, BINARY
    if route == "/predict/batch":
        body, kind = form([data] * max(1, min(BATCH, bombs.BODY // (len(data) + 100))))
    request = urllib.request.Request(f"http://{HOST}:{port}{route}", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read()[:200].decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def cost(port: int, process: Process, route: str, data: bytes) -> Record:
    """What one upload costs, and how it is answered."""
    rest, before = megabytes(process), processor_seconds(process)
    highest, done = rest, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(SAMPLES):
            highest = max(highest, megabytes(process))

    watching = threading.Thread(target=watch)
    watching.start()
    status, answer = send(port, route, data)
    done.set()
    watching.join()
    found: Record = {"body_bytes": len(data), "cpu_s": round(processor_seconds(process) - before, 2)}
    return found | {"rise_mb": round(highest - rest, 1), "status": status, "answer": answer}


def worst(costs: list[Record]) -> Record:
    """The costs that are highest, and how often each status was the answer."""
    found = {f"most_{key}": max(costs, key=lambda one: one[key]) for key in ("cpu_s", "rise_mb")}
    return found | {"statuses": Counter(sorted(str(one["status"]) for one in costs))}


def table(record: Record) -> str:
    """Processor seconds and megabytes of the worst upload, by format and route."""
    rows = []
    for kind, routes in record["formats"].items():
        pairs = [(found["most_cpu_s"]["cpu_s"], found["most_rise_mb"]["rise_mb"]) for found in routes.values()]
        rows.append([kind, *(f"{seconds:.2f} s, {megabytes:.0f} MB" for seconds, megabytes in pairs)])
    routes = next(iter(record["formats"].values()))
    said = f"{record['setting']['files']} files of each format, {record['setting']['hardware']}."
    return f"{table_of(['worst of', *(f'`{route}`' for route in routes)], rows)}\n{said}"


TABLES = {"hostile": table}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--files", type=int, default=30, help="hostile files of each format; default: 30")
    options.add_argument("--seed", type=int, default=0, help="of the files; default: 0")
    options.add_argument("--formats", nargs="+", choices=bombs.MAKERS, default=list(bombs.MAKERS), help="default: all")
    options.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES), help="default: all")
    arguments = options.parse_args(argv)
    rows: Record = {}
    with serving(workers=1, threads=len(os.sched_getaffinity(0))) as (port, process, _):
        for route in ROUTES:  # what the first of each loads is no cost of an upload
            send(port, route, (EXAMPLES / "seven.png").read_bytes())
            send(port, route, bombs.encode(bombs.Image.new("L", (64, 64)), "TIFF"))
        for kind in arguments.formats:
            makers = bombs.MAKERS[kind]
            costs: dict[str, list[Record]] = {route: [] for route in arguments.routes}
            for number in tqdm(range(arguments.files), desc=kind):
                maker = makers[number % len(makers)]
                data = maker(np.random.default_rng([arguments.seed, number]))[: bombs.BODY]
                for route, found in costs.items():
                    made = {"maker": maker.__name__, "number": number}  # with the seed, they make the file again
                    found.append(made | cost(port, process, route, data))
            rows[kind] = {route: worst(found) for route, found in costs.items()}
    setting = {"hardware": hardware(), "files": arguments.files, "seed": arguments.seed}
    show("hostile", {"setting": setting, "formats": rows}, table, arguments.record)


if __name__ == "__main__":
    main()
