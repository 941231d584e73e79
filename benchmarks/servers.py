"""Start a server to measure, and put a load on it.

The load is a closed loop: each connection sends its next request when the last answer is there. It is our own because
the generators that a Python environment can install round to a millisecond (Locust) or cost more for each request than
what is measured (httpx). This one keeps connections open, sends bytes made beforehand, and runs in its own process.
"""

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import psutil

Process = subprocess.Popen[bytes]

HOST = "127.0.0.1"
START = 60.0  # seconds that a server has to become ready
PATIENCE = 60.0  # seconds for an answer
PAUSE = 0.05  # seconds after a lost connection
BINARY = "application/octet-stream"
SERVICE = ["-m", "bentoml", "serve", "service.bento:Quintet", "--host", HOST, "--port", "{port}"]


@contextmanager
def serving(command: Sequence[str] = SERVICE, **settings: object) -> Iterator[tuple[int, Process, float]]:
    """A running server, as its port and its process, and the seconds until it was ready.

    command: arguments of Python, in which {port} stands for the port; settings: QUINTET_NAME for each name.
    Raises RuntimeError if the server does not become ready.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    variables = {"concurrency": 1024, "drain": 0} | settings
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *(word.format(port=port) for word in command)],
        env=os.environ | {f"QUINTET_{name.upper()}": str(value) for name, value in variables.items()},
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
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that are left, and itself
        process.wait()


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


def family(process: Process) -> list[psutil.Process]:
    """A server's processes."""
    whole = psutil.Process(process.pid)
    return [whole, *whole.children(recursive=True)]


def processor_seconds(process: Process) -> float:
    """The time that a server's processes have spent on the cores, with those that have ended."""
    total = 0.0
    for one in family(process):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def megabytes(process: Process) -> float:
    """The memory of a server's processes; a page that they share counts once."""
    total = 0
    for one in family(process):
        with suppress(OSError, IndexError):  # it has just ended
            total += int(Path(f"/proc/{one.pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])
    return total * 1024 / 1e6


def form(files: Sequence[bytes]) -> tuple[bytes, str]:
    """A multipart body with these files as `images`, and its content type."""
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n'
    return b"".join(head + file + b"\r\n" for file in files) + b"--b--\r\n", "multipart/form-data; boundary=b"


def request(path: str, body: bytes, content_type: str = BINARY) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1", f"Host: {HOST}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"
    return "\r\n".join((*head, "", "")).encode() + body


def load(port: int, messages: Sequence[bytes], connections: int, seconds: float, warm_up: float = 0) -> dict[str, Any]:
    """Load a server from another process: each connection goes through `messages` from a place of its own.

    Returns {"milliseconds": [...] of the answers with status 200, "statuses": {status, or name of an error: count}},
    both without the warm-up (seconds), and "answers", the number of all requests, with the warm-up.
    """
    how = pickle.dumps((port, messages, connections, seconds, warm_up))
    done = subprocess.run([sys.executable, "-m", "benchmarks.servers"], input=how, stdout=subprocess.PIPE, check=True)
    return pickle.loads(done.stdout)


async def _load(
    port: int, messages: Sequence[bytes], connections: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    begin = time.perf_counter() + warm_up
    turns = [islice(cycle(messages), len(messages) * i // connections, None) for i in range(connections)]
    results = await asyncio.gather(*(_loop(port, turn, begin, begin + seconds) for turn in turns))
    milliseconds = [value for times, _, _ in results for value in times]
    statuses: Counter[int | str] = sum((counts for _, counts, _ in results), Counter())
    return {"milliseconds": milliseconds, "statuses": dict(statuses), "answers": sum(count for *_, count in results)}


async def _loop(
    port: int, messages: Iterator[bytes], begin: float, end: float
) -> tuple[list[float], Counter[int | str], int]:
    """One connection. An answer counts if it came between begin and end; the last figure is the number of all."""
    answers = 0
    times: list[float] = []
    statuses: Counter[int | str] = Counter()
    status: int | str
    streams = None
    while (start := time.perf_counter()) < end:
        try:
            streams = streams or await asyncio.open_connection(HOST, port)
            status, closes = await _exchange(*streams, next(messages))
        except (OSError, EOFError, asyncio.LimitOverrunError, IndexError) as error:  # lost, late or no HTTP
            status, closes = type(error).__name__, True
            await asyncio.sleep(PAUSE)
        if closes and streams:
            streams[1].close()
            streams = None
        now, answers = time.perf_counter(), answers + 1
        if begin <= now < end:
            statuses[status] += 1
            if status == 200:
                times.append((now - start) * 1e3)
    if streams:
        streams[1].close()
    return times, statuses, answers


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> tuple[int, bool]:
    """Send one request and read its answer. Returns its status and whether the connection ends with it.

    Raises TimeoutError, an OSError, after PATIENCE.
    """
    async with asyncio.timeout(PATIENCE):
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    return int(head[9:12]), b"\r\nconnection: close\r\n" in head


if __name__ == "__main__":  # the process of `load`
    sys.stdout.buffer.write(pickle.dumps(asyncio.run(_load(*pickle.load(sys.stdin.buffer)))))
