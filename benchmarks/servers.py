"""Start a server of each kind: the service, its floor, and its peers."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

Process = subprocess.Popen[bytes]

HOST = "127.0.0.1"
START = 60.0  # seconds that a server has to become ready
UVICORN = "-m uvicorn {module}:app --host {host} --port {port} --workers {workers} --loop uvloop --http httptools"
QUIET = " --no-access-log --log-level warning"
COMMANDS = {  # of Python
    "floor": UVICORN.replace("{module}", "benchmarks.floor") + QUIET,
    "service": "-m bentoml serve service.bento:Quintet --host {host} --port {port}",
    "litserve": "-m benchmarks.peers.with_litserve --port {port}",
    "fastapi": UVICORN.replace("{module}", "benchmarks.peers.with_fastapi") + QUIET,
    "bentoml": "-m bentoml serve benchmarks.peers.with_bentoml:Native --host {host} --port {port}",
}
PEERS = "litserve", "fastapi", "bentoml"
AUTOGROUP = Path("/proc/self/autogroup")  # of Linux, as "/autogroup-7 nice -5"; empty for a process without a session
PATHS = {"cnn": "/predict?models=cnn", "all": "/predict"}


def path_of(kind: str, models: str) -> str:
    """Where a server of this kind takes an image for `models`, "cnn" or "all"."""
    return f"/{models}" if kind in PEERS else PATHS[models]


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name in PEERS if importlib.util.find_spec(name) is None]


def is_preferred() -> bool:
    """Whether the machine runs this before its other work."""
    get = getattr(os, "sched_getscheduler", None)
    if os.nice(0) < 0 or (get is not None and get(0) in (os.SCHED_RR, os.SCHED_FIFO)):
        return True
    words = AUTOGROUP.read_text().split() if AUTOGROUP.exists() else []
    return bool(words) and int(words[-1]) < 0


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
        [sys.executable, *COMMANDS[kind].format(host=HOST, port=port, workers=workers).split()],
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
        with suppress(subprocess.TimeoutExpired):
            process.wait(10 if kind in PEERS else 30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that are left, and itself
        process.wait()


def processor_seconds(process: Process) -> float:
    """The time that a server's processes have spent on the cores."""
    whole = psutil.Process(process.pid)
    times = [one.cpu_times() for one in (whole, *whole.children(recursive=True))]
    return sum(one.user + one.system for one in times)


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
