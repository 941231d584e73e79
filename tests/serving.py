"""Start `bentoml serve` for a test, find its processes, and end it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx2
import psutil

from tests.conftest import REPOSITORY

START = 120  # seconds in which a service has to start on a busy machine
END = 60  # seconds in which it has to end
QUICK = {"BENTOML_DO_NOT_TRACK": "true", "QUINTET_DRAIN": "0"}  # no test waits for a load balancer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(target: str, port: int) -> list[str]:
    return [sys.executable, "-m", "bentoml", "serve", target, "--port", str(port), "--host", "127.0.0.1"]


@contextmanager
def serving(
    target: str = "service.bento:Quintet", cwd: Path = REPOSITORY, log: IO[bytes] | None = None, **environment: str
) -> Iterator[str]:
    """A running service. Yields its address, and ends it by SIGTERM. `log` gets its output."""
    port = free_port()
    process = subprocess.Popen(
        command(target, port),
        cwd=cwd,
        env=os.environ | QUICK | environment,
        start_new_session=True,
        stdout=log,
        stderr=log,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, address)
        yield address
        process.send_signal(signal.SIGTERM)
        process.wait(END)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service ended while starting"
        try:
            if httpx2.get(f"{address}/readyz").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.1)  # the poll's interval, not a guess at how long it takes
    raise TimeoutError(f"not ready after {START} seconds")


def supervisor(address: str) -> psutil.Process:
    """The process that listens at an address."""
    port = address.rsplit(":")[-1]
    for process in psutil.Process().children():
        if port in process.cmdline():
            return process
    raise LookupError(address)


def workers(address: str) -> list[psutil.Process]:
    """The processes that answer the requests to an address."""
    found = []
    for child in supervisor(address).children():
        try:
            if "_bentoml_impl.worker.service" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:  # or a zombie, which is one
            pass
    return found
