"""What does a hostile upload cost? The processor time and memory of the service for the worst of many of each format.

    python -m benchmarks.hostile [--files N] [--seed S] [--format TIFF] [--record results/hostile.json]

Uploads of up to 10 MB (tests/hostile/bombs.py) are sent one after another to a service of one worker: to /predict, to
/read, and to /predict/batch as many times as fit. Costs are of the worker and all processes that it starts; memory is
how far they rise above rest, each shared page counted once. The last line is JSON.
"""

import argparse
import json
import os
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.offline import hardware
from benchmarks.servers import serving
from tests.hostile import bombs

SAMPLES = 0.004  # seconds between two looks at the memory
BATCH = 32  # images in one call of /predict/batch
ROUTES = "/predict", "/read", "/predict/batch"


@dataclass(frozen=True, kw_only=True)
class Cost:
    maker: str
    number: int  # of the file; with the seed, it makes the file again
    route: str
    body_bytes: int
    cpu_s: float
    rise_mb: float
    status: int
    answer: str


class Worker:
    """The worker of a service, with the processes that it started."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process

    def family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]

    def seconds(self) -> float:
        """Of processor time so far, with that of the children that have ended."""
        total = 0.0
        for process in self.family():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def megabytes(self) -> float:
        total = 0
        for process in self.family():
            try:
                total += int(Path(f"/proc/{process.pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])
            except (OSError, IndexError):  # it has just ended
                continue
        return total * 1024 / 1e6


def worker_of(process: int) -> Worker:
    for child in psutil.Process(process).children(recursive=True):
        if "_bentoml_impl.worker.service" in child.cmdline():
            return Worker(child)
    raise LookupError("no worker")


def form(files: list[bytes]) -> tuple[bytes, str]:
    """A multipart body of images, and its type."""
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n'
    return b"".join(head + data + b"\r\n" for data in files) + b"--b--\r\n", "multipart/form-data; boundary=b"


def send(address: str, route: str, data: bytes) -> tuple[int, str]:
    """The status of an upload, and the sentence or the beginning of the answer."""
    body, kind = data, "application/octet-stream"
    if route == "/predict/batch":
        body, kind = form([data] * max(1, min(BATCH, bombs.BODY // (len(data) + 100))))
    request = urllib.request.Request(address + route, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read()[:200].decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def cost(address: str, worker: Worker, route: str, data: bytes) -> tuple[float, float, int, str]:
    """Processor seconds, the rise in megabytes, the status and the answer of one upload."""
    rest, before = worker.megabytes(), worker.seconds()
    highest, done = rest, threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.wait(SAMPLES):
            highest = max(highest, worker.megabytes())

    watching = threading.Thread(target=watch)
    watching.start()
    status, answer = send(address, route, data)
    done.set()
    watching.join()
    time.sleep(0.02)  # processes that ended have been waited for
    return worker.seconds() - before, highest - rest, status, answer


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=30, help="hostile files of each format; default: 30")
    parser.add_argument("--seed", type=int, default=0, help="of the files; default: 0")
    parser.add_argument("--format", choices=bombs.MAKERS, help="default: all")
    parser.add_argument("--route", choices=ROUTES, help="default: all")
    parser.add_argument("--record", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    setting = {"hardware": hardware(), "files": arguments.files, "seed": arguments.seed}
    rows = {}
    with serving("service", workers=1, threads=len(os.sched_getaffinity(0))) as (port, process, _):
        address, worker = f"http://127.0.0.1:{port}", worker_of(process.pid)
        for route in ROUTES:  # what the first of each loads is no cost of an upload
            send(address, route, (Path("examples") / "seven.png").read_bytes())
            send(address, route, bombs.encode(bombs.Image.new("L", (64, 64)), "TIFF"))
        print(f"{'format':8}{'route':16}{'worst CPU s':>12}{'worst rise MB':>15}  statuses")
        for kind in [arguments.format] if arguments.format else bombs.MAKERS:
            makers = bombs.MAKERS[kind]
            costs: dict[str, list[Cost]] = {route: [] for route in ROUTES if arguments.route in (None, route)}
            for number in tqdm(range(arguments.files), desc=kind, leave=False):
                maker = makers[number % len(makers)]
                data = maker(np.random.default_rng([arguments.seed, number]))[: bombs.BODY]
                for route, found in costs.items():
                    cpu_s, rise_mb, status, answer = cost(address, worker, route, data)
                    found.append(
                        Cost(
                            maker=maker.__name__,
                            number=number,
                            route=route,
                            body_bytes=len(data),
                            cpu_s=round(cpu_s, 2),
                            rise_mb=round(rise_mb, 1),
                            status=status,
                            answer=answer,
                        )
                    )
            rows[kind] = {}
            for route, found in costs.items():
                cpu, rise = max(found, key=lambda one: one.cpu_s), max(found, key=lambda one: one.rise_mb)
                rows[kind][route] = {"most_cpu_s": asdict(cpu), "most_rise_mb": asdict(rise)}
                statuses = {status: sum(one.status == status for one in found) for status in {o.status for o in found}}
                print(f"{kind:8}{route:16}{cpu.cpu_s:12.2f}{rise.rise_mb:15.0f}  {statuses} {cpu.maker} {rise.maker}")
    result = {"setting": setting, "formats": rows}
    if arguments.record:
        arguments.record.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
