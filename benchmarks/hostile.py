"""Measure hostile uploads: processor time, memory and log lines, and the worst of many files of each format.

    python -m benchmarks.hostile [--files N] [--seed S] [--record results/hostile.json]

Each upload is decoded and canonicalised as for /predict, without the models, in a process forked from a warm one.
`rise` is the memory that the process needs beyond the warm one, including the upload. The last line is JSON.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks import bombs
from benchmarks.offline import hardware
from service.inference.artefact import open_finder
from service.picture.decode import FORMATS, grey_from_upload
from service.picture.digit import canonicalise
from service.picture.errors import InvalidImage
from service.picture.ink import FILE, InkFinder

MAX_PIXELS = 16_000_000
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Cost:
    maker: str
    number: int  # of the file; with the seed, it makes the file again
    body_bytes: int
    cpu_s: float
    rise_mb: float
    log_bytes: int
    answer: str


@cache
def finder() -> InkFinder:
    return open_finder(Path("models") / FILE, threads=1)


def look(data: bytes) -> str:
    """Prepare an upload as /predict does before it asks the models. Returns the outcome."""
    try:
        canonicalise(grey_from_upload(data, MAX_PIXELS, FORMATS)[0], finder())
    except InvalidImage as error:
        return f"{type(error).__name__}: {error}"
    return "read"


def cost(data: bytes, maker: str = "", number: int = 0, limit_s: int = 60) -> Cost:
    """Decode an upload in a child process, which is killed after `limit_s` seconds of processor time."""
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            os.dup2(log.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
            before = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
            start = time.process_time()
            answer = look(data)
            spent = time.process_time() - start
            rise = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before + len(data)
            os.write(said.fileno(), json.dumps([spent, rise / 1e6, answer]).encode())
            os._exit(0)
        _, status, usage = os.wait4(child, 0)
        said.seek(0)
        failed = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3, f"ended with status {status}"
        spent, rise, answer = json.loads(said.read()) if status == 0 else failed
        return Cost(
            maker=maker,
            number=number,
            body_bytes=len(data),
            cpu_s=round(spent, 3),
            rise_mb=round(rise, 1),
            log_bytes=log.seek(0, os.SEEK_END),
            answer=answer,
        )


def search(kind: str, files: int, seed: int) -> list[Cost]:
    """The costs of `count` files of a format, made by its functions in turn."""
    makers = bombs.MAKERS[kind]
    costs = []
    for number in tqdm(range(files), desc=kind, leave=False):
        maker = makers[number % len(makers)]
        data = maker(np.random.default_rng([seed, number]))
        costs.append(cost(data, maker.__name__, number))
    return costs


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=60, help="hostile files of each format; default: 60")
    parser.add_argument("--seed", type=int, default=0, help="of the files; default: 0")
    parser.add_argument("--record", type=Path, help="JSON file to write")
    arguments = parser.parse_args(argv)
    cv2.setNumThreads(1)  # a forked child has only the thread that forked
    look((Path("examples") / "seven.png").read_bytes())  # loads everything that a look needs
    setting = {"hardware": hardware(), "files": arguments.files, "seed": arguments.seed, "max_pixels": MAX_PIXELS}
    print(", ".join(f"{key} {value}" for key, value in setting.items()))
    print(f"{'format':8}{'worst CPU s':>12}{'worst rise MB':>15}{'worst log bytes':>17}  refused")
    rows = {}
    for kind in bombs.MAKERS:
        costs = search(kind, arguments.files, arguments.seed)
        worst = {key: max(costs, key=lambda one: getattr(one, key)) for key in ("cpu_s", "rise_mb", "log_bytes")}
        refused = sum(one.answer != "read" for one in costs)
        rows[kind] = {"refused": refused} | {f"most_{key}": asdict(one) for key, one in worst.items()}
        figures = [worst[key] for key in ("cpu_s", "rise_mb", "log_bytes")]
        print(f"{kind:8}{figures[0].cpu_s:12.2f}{figures[1].rise_mb:15.0f}{figures[2].log_bytes:17}  {refused}")
    result = {"setting": setting, "formats": rows}
    if arguments.record:
        arguments.record.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
