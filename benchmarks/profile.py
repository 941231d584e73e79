"""Where the time of one request goes, from the socket and back: the layers of a worker, in microseconds on its cores.

Loads the service with `models=cnn` and a digit of 28x28 pixels while py-spy looks 500 times a second at what each of
the worker's threads runs. A sample belongs to the innermost function whose file is in the table below, so that a layer
holds the library code that it calls. Samples are turned into microseconds by the processor time of the worker, which
the kernel counts, for each answer. The last line of the output is JSON.

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
from benchmarks.servers import COMMANDS, HOST, path_of, serving
from service import settings as environment

RATE = 500  # samples a second
WARM_UP = 1.5  # seconds of load before the samples
REST = "what is left: the event loop, and threads that wake up"
LAYERS = {  # part of a file's path: the layer
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
    "/onnxruntime/": "the network",
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


def layers(lines: Iterable[str]) -> Counter[str]:
    """Samples of each layer in py-spy's raw format: "frame;frame;frame count" a line."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        found[layer(stack.split(";"))] += int(count)
    return found


def sampled(worker: psutil.Process, spy: str, seconds: float) -> Counter[str]:
    """What the threads of a worker run for so long. Raises RuntimeError if py-spy may not look."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks"
        command = [spy, "record", "--pid", str(worker.pid), "--duration", f"{seconds:.0f}", "--rate", str(RATE)]
        command += ["--format", "raw", "--full-filenames", "--nonblocking", "--output", str(file)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if not file.exists():
            raise RuntimeError(f"py-spy failed: {done.stderr.strip()[-300:]}")
        return layers(file.read_text().splitlines())


def busy(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return times.user + times.system


def look(kind: str, connections: int, threads: int, seconds: float, spy: str, image: bytes) -> dict[str, Any]:
    """Microseconds of each layer for one request of `models=cnn`."""
    with serving(kind, 1, threads) as (port, process, _), ThreadPoolExecutor(1) as pool:
        whole = psutil.Process(process.pid)
        worker = max([whole, *whole.children(recursive=True)], key=busy)
        message = load.request(path_of(kind, "cnn"), image, "image/png", HOST)
        load.measure(HOST, port, [message], connections, WARM_UP, 0.0)
        before = busy(worker)
        seen = pool.submit(sampled, worker, spy, seconds)
        answers = load.measure(HOST, port, [message], connections, seconds + 1, 0.0)["answers"]
        microseconds = (busy(worker) - before) / answers * 1e6
        samples = seen.result()
    total = samples.total()
    shares = {name: round(count / total * microseconds, 1) for name, count in samples.most_common()}
    return {
        "server": kind,
        "connections": connections,
        "requests_per_sec": round(answers / (seconds + 1), 1),
        "samples": total,
        "worker_us": round(microseconds, 1),
        "layers_us": shares,
    }


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each layer, a column for each run."""
    heads = [f"{row['server']}, {row['connections']} conn." for row in rows]
    lines = [f"| μs of a request | {' | '.join(heads)} |", "| --- |" + " --- |" * len(rows)]
    for name in sorted({name for row in rows for name in row["layers_us"]}, key=lambda n: -_of(rows[0], n)):
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
    setting = {"hardware": hardware(), "threads": threads, "load_average": os.getloadavg()[0], "rate": RATE}
    print(table(rows))
    print(json.dumps({"setting": setting, "rows": rows}))


if __name__ == "__main__":
    main()
