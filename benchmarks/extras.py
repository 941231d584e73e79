"""What /v2, request ids, a log of JSON and traces cost: at the start, in memory, and for each request.

Each variant is a fresh process that makes the HTTP application, without models; "without /v2" puts an empty module in
the place of `service.http.v2`. Times are those of the processor, so other work on the machine hardly changes them.

    python -m benchmarks.extras --out results/extras.json
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.offline import hardware

REPOSITORY = Path(__file__).parent.parent
VARIANTS = "without /v2", "as served", "with a log of JSON", "with traces"
CALLS = 1_000  # requests of a process

# BentoML imports OpenTelemetry's SDK by itself, so that is no cost of ours.
CHILD = """
import sys
variant, calls = sys.argv[1], int(sys.argv[2])
import asyncio, json, logging, os, time, types
import bentoml, opentelemetry.instrumentation.asgi, opentelemetry.sdk.trace
began = time.process_time()
if variant == "without /v2":
    empty = types.ModuleType("service.http.v2")
    empty.OPEN, empty.UNKNOWN_MODEL, empty.routes = (), "", lambda *_: []
    import service.http
    service.http.v2 = sys.modules["service.http.v2"] = empty
from service.http.app import create_app
from service.http.requests import Requests
from service.settings import Settings
listeners = []
if variant == "with a log of JSON":
    from service.http import logs
    logging.getLogger("bentoml").setLevel(logging.INFO)
    logging.getLogger("bentoml").addHandler(logging.StreamHandler(open("/dev/null", "w")))
    logs.use_json()
    listeners.append(logs.log_request)
if variant == "with traces":
    from service.http.tracing import Traces
    listeners.append(Traces())
predictor = types.SimpleNamespace(names=["cnn", "faster_rcnn", "vgg16", "alexnet", "vit"])
create_app(predictor, Settings())
started = time.process_time() - began
from service.timeline import mark

async def answer(scope, receive, send):
    await receive()
    for stage in ("queue", "decode", "canonicalise", *predictor.names):
        mark(stage, 0.0, 0.001)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def receive():
    return {"type": "http.request", "body": b""}

async def send(message):
    pass

async def ask(app):
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"x")]}
    began = time.process_time()
    for _ in range(calls):
        await app(scope, receive, send)
    return time.process_time() - began

bare = asyncio.run(ask(answer))
within = asyncio.run(ask(Requests(answer, listeners)))
memory = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))  # kB
figures = {"start_s": started, "memory_mb": memory / 1024, "request_us": (within - bare) / calls * 1e6}
sys.stdout.write(json.dumps(figures))
sys.stdout.flush()
os._exit(0)  # nobody collects the traces
"""


def measure(variant: str) -> dict[str, float]:
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", CHILD, variant, str(CALLS)]
    found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout.splitlines()[-1])


def table(record: dict[str, Any]) -> str:
    """The document's part for results/extras.json: medians over the rounds."""
    lines = ["| | start, s of processor time | memory, MB | for each request, µs |", "| --- | --- | --- | --- |"]
    for variant, rounds in record["variants"].items():
        start, memory, request = (
            np.median([row[name] for row in rounds]) for name in ("start_s", "memory_mb", "request_us")
        )
        lines.append(f"| {variant} | {start:.2f} | {memory:.0f} | {request:.0f} |")
    rounds = len(next(iter(record["variants"].values())))
    plural = "s" * (rounds > 1)
    says = f"Medians of {rounds} round{plural}, {record['calls']:,} requests each, {record['hardware']}."
    return "\n".join([says, "", *lines])


def main(argv: list[str] | None = None) -> None:
    about, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extras", description=about, epilog=more)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
    arguments = parser.parse_args(argv)
    variants: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for _ in range(arguments.rounds):
        for variant, rounds in variants.items():
            rounds.append({name: round(value, 4) for name, value in measure(variant).items()})
    record = {"hardware": hardware(), "calls": CALLS, "variants": variants}
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
