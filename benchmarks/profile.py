"""Where the time of one request goes, from the socket and back: the layers of a worker, in microseconds on its cores.

Loads the service with `models=cnn` and a digit of 28x28 pixels while py-spy looks 500 times a second at what each of
the worker's threads runs. A sample belongs to the innermost function whose file is in the table below, so that a layer
holds the library code that it calls. The samples of a thread share out the time that it spent on the cores, which the
kernel counts. The last line of the output is JSON.

    python -m benchmarks.profile
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load
from benchmarks.http import small
from benchmarks.offline import hardware
from benchmarks.servers import COMMANDS, HOST, is_preferred, path_of, serving
from service import settings as environment

RATE = 500  # samples a second
WARM_UP = 1.5  # seconds of load before the samples
NATIVE = "the network: onnxruntime's own threads"
REST = "the rest, such as locks and threads that wake up"
LAYERS = {  # part of a file's path: the layer
    "/asyncio/runners.py": "the event loop: sockets read and written",
    "/uvicorn/": "uvicorn: bytes to a request and back",
    "/service/http/protocol.py": "uvicorn: bytes to a request and back",
    "/json/": "the answer as JSON",
    "/orjson/": "the answer as JSON",
    "/bentoml/": "BentoML: middlewares and routing",
    "/_bentoml_impl/": "BentoML: middlewares and routing",
    "/simple_di/": "BentoML: middlewares and routing",
    "/opentelemetry/": "BentoML: middlewares and routing",
    "/prometheus_client/": "metrics, BentoML's and ours",
    "/service/http/observability.py": "metrics, BentoML's and ours",
    "/service/http/body.py": "the body",
    "/service/http/": "our middlewares and routes: limits, ids, unknown paths",
    "/starlette/": "Starlette and FastAPI: routing, parameters, responses",
    "/fastapi/": "Starlette and FastAPI: routing, parameters, responses",
    "/pydantic": "Starlette and FastAPI: routing, parameters, responses",
    "/anyio/": "to a thread and back",
    "/service/inference/batcher.py": "the queue for a batch",
    "/service/inference/turns.py": "the queue for a batch",
    "/service/picture/": "decoding the picture and framing the digit",
    "/PIL/": "decoding the picture and framing the digit",
    "/onnxruntime/": "the network: the thread that asks",
    "/service/inference/": "the consensus",
    "/service/answer.py": "the answer's fields",
}


def layer(stack: Sequence[str]) -> str:
    """The layer of a stack of frames "function (file:line)", the innermost last."""
    for frame in reversed(stack):
        for part, name in LAYERS.items():
            if part in frame:
                return name
    return REST


def layers(lines: Iterable[str]) -> dict[int, Counter[str]]:
    """Samples of each layer in each thread, from py-spy's raw format: "thread (ID): name;frame;frame count" a line."""
    found: dict[int, Counter[str]] = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        own = found.setdefault(int(thread.split("(")[1].split(")")[0]), Counter())
        own[layer(frames)] += int(count)
    return found


def microseconds(samples: dict[int, Counter[str]], busy: dict[int, float], answers: int) -> dict[str, float]:
    """Of each layer, for one answer. busy: {thread: seconds on the cores}; a thread without samples runs no Python."""
    found: dict[str, float] = {}
    for thread, seconds in busy.items():
        own = samples.get(thread, Counter({NATIVE: 1}))
        for name, count in own.items():
            found[name] = found.get(name, 0.0) + count / own.total() * seconds / answers * 1e6
    return {name: round(value, 1) for name, value in found.items()}


def sampled(worker: psutil.Process, spy: str, seconds: float) -> dict[int, Counter[str]]:
    """What the threads of a worker run for so long. Raises RuntimeError if py-spy may not look."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = [spy, "record", "--pid", str(worker.pid), "--duration", f"{seconds:.0f}", "--rate", str(RATE)]
        command += ["--threads", "--format", "raw", "--full-filenames", "--nonblocking", "--output", str(file)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if not file.exists():
            raise RuntimeError(f"py-spy failed: {done.stderr.strip()[-300:]}")
        return layers(file.read_text().splitlines())


def busy(worker: psutil.Process) -> dict[int, float]:
    """Seconds that each thread has spent on the cores."""
    return {thread.id: thread.user_time + thread.system_time for thread in worker.threads()}


def look(kind: str, connections: int, threads: int, seconds: float, spy: str, image: bytes) -> dict[str, Any]:
    """Microseconds of each layer for one request of `models=cnn`."""
    with serving(kind, 1, threads) as (port, process, _), ThreadPoolExecutor(1) as pool:
        whole = psutil.Process(process.pid)
        worker = max([whole, *whole.children(recursive=True)], key=lambda one: sum(busy(one).values()))
        message = load.request(path_of(kind, "cnn"), image, "image/png", HOST)
        load.measure(HOST, port, [message], connections, WARM_UP, 0.0)
        before = busy(worker)
        seen = pool.submit(sampled, worker, spy, seconds)
        answers = load.measure(HOST, port, [message], connections, seconds + 1, 0.0)["answers"]
        spent = {thread: total - before.get(thread, 0.0) for thread, total in busy(worker).items()}
        samples = seen.result()
    return {
        "server": kind,
        "connections": connections,
        "requests_per_sec": round(answers / (seconds + 1), 1),
        "samples": sum(own.total() for own in samples.values()),
        "worker_us": round(sum(spent.values()) / answers * 1e6, 1),
        "layers_us": microseconds(samples, spent, answers),
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each layer, a column for each run."""
    heads = [f"{row['server']}, {row['connections']} conn." for row in rows]
    lines = [f"| μs of a request | {' | '.join(heads)} |", "| --- |" + " --- |" * len(rows)]
    for name in sorted({name for row in rows for name in row["layers_us"]}, key=lambda n: (-_of(rows[0], n), n)):
        lines.append(f"| {name} | {' | '.join(f'{_of(row, name):,.0f}' for row in rows)} |")
    whole = " | ".join(f"{row['worker_us']:,.0f}" for row in rows)
    return "\n".join([*lines, f"| all | {whole} |"])


def _of(row: dict[str, Any], name: str) -> float:
    return row["layers_us"].get(name, 0.0)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of samples; default: 5")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16], help="default: 1 16")
    kinds = [kind for kind in COMMANDS if kind in ("service", "floor")]
    parser.add_argument("--servers", nargs="+", choices=kinds, default=["service", "floor"], help="default: both")
    arguments = parser.parse_args(argv)
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        sys.exit("py-spy is not installed; install the extra `dev`.")
    threads, image = environment.load().threads, small()
    rows = [
        look(kind, connections, threads, arguments.seconds, spy, image)
        for connections in arguments.connections
        for kind in arguments.servers
    ]
    setting = {"hardware": hardware(), "threads": threads, "rate": RATE}
    setting |= {"load_average": os.getloadavg()[0], "preferred": is_preferred()}
    print(table(rows))
    print(json.dumps({"setting": setting, "rows": rows}))


if __name__ == "__main__":
    main()
