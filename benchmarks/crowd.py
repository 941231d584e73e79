"""Time two ordinary clients of /predict beside eight others: ordinary ones, or hostile ones of /read.

The hostile pages are one-bit noise of 64 to 1,024 pixels. They have a few kilobytes each and hold many pieces of ink.
Meanwhile /readyz is asked ten times per second. The last line of the output is JSON.

    python -m benchmarks.crowd
"""

import argparse
import json
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import load
from benchmarks.http import EXAMPLES
from benchmarks.offline import hardware
from benchmarks.servers import HOST, serving
from service import settings as environment

CLIENTS, OTHERS = 2, 8  # connections
HEALTH = 0.1  # seconds between two looks at /readyz
NOISE = (64, 0.5), (130, 0.5), (200, 0.5), (130, 0.3), (1_024, 0.001), (1_024, 0.01)  # side in pixels, share of white
BINARY = "application/octet-stream"


def noise() -> list[bytes]:
    """Pages of one-bit noise, as PNG."""
    generator = np.random.default_rng(0)
    pages = []
    for side, share in NOISE:
        file = BytesIO()
        Image.fromarray(np.uint8(255 * (generator.random((side, side)) < share))).convert("1").save(file, "PNG")
        pages.append(file.getvalue())
    return pages


def crowds() -> dict[str, list[bytes]]:
    """The requests of the eight other clients, by kind of client."""
    seven, number = ((EXAMPLES / name).read_bytes() for name in ("seven.png", "number.jpg"))
    return {
        "ordinary /predict": [load.request("/predict", seven, BINARY, HOST)],
        "ordinary /read": [load.request("/read", number, BINARY, HOST)],
        "hostile /read": [load.request("/read", page, BINARY, HOST) for page in noise()],
    }


def beside(port: int, others: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Percentiles of /predict and /readyz in ms while the others send, and the statuses of all answers."""
    mine = [load.request("/predict", (EXAMPLES / "seven.png").read_bytes(), BINARY, HOST)]
    health = []
    with ThreadPoolExecutor(2) as pool:
        crowd = pool.submit(load.measure, HOST, port, others, OTHERS, seconds + 2, 0.0)
        found = pool.submit(load.measure, HOST, port, mine, CLIENTS, seconds, 1.0)
        while not found.done():
            started = time.perf_counter()
            urllib.request.urlopen(f"http://{HOST}:{port}/readyz", timeout=30).read()
            health.append((time.perf_counter() - started) * 1e3)
            time.sleep(HEALTH)
        times, statuses = found.result()["milliseconds"], found.result()["statuses"]
        p50, p95, p99 = np.percentile(times, (50, 95, 99)).round(1).tolist()
        return {
            "answers": len(times),
            "statuses": statuses,
            "predict_p50_ms": p50,
            "predict_p95_ms": p95,
            "predict_p99_ms": p99,
            "readyz_highest_ms": round(max(health), 1),
            "others": crowd.result()["statuses"],
        }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="for each crowd and round; default: 15")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    arguments = parser.parse_args(argv)
    rows: dict[str, list[dict[str, Any]]] = {who: [] for who in crowds()}
    threads = environment.load().threads
    with serving("service", 1, threads) as (port, _, _):
        for _ in range(arguments.rounds):
            for who, messages in crowds().items():
                rows[who].append(beside(port, messages, arguments.seconds))
                print(f"beside {OTHERS} x {who}: {rows[who][-1]}", flush=True)
    print(json.dumps({"hardware": hardware(), "threads": threads, "seconds": arguments.seconds, "rounds": rows}))


if __name__ == "__main__":
    main()
