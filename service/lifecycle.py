"""How the service starts and ends: what BentoML's supervisor and its workers have to agree on.

`bentoml serve` is the supervisor: it imports the service, opens the port and starts workers, each of which imports the
service again and is started anew when it dies. Workers inherit the supervisor's file descriptors. Read in BentoML
1.4.39.
"""

import asyncio
import errno
import ipaddress
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any, NoReturn

import bentoml
import click

from .http import metrics
from .http.observability import Health

# Environment variables that name file descriptors which workers inherit.
METRICS = "_QUINTET_METRICS"  # memory for the metrics of all workers
LIFELINE = "_QUINTET_LIFELINE"  # a pipe that ends when the supervisor does
HOST, PORT = "0.0.0.0", 3000  # where `bentoml serve` listens without its options
# Of glibc: without them a worker keeps what pictures needed. After 1,500 hostile uploads it had grown by 407 MB at its
# peak, with two arenas by 344, and with large blocks given back at once by 249 (`python -m tests.hostile.fuzz`).
ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "4000000"}
FAILED = getattr(signal, "SIGUSR1", signal.SIGTERM)  # a worker tells its supervisor that no other worker could start


def check_command() -> None:
    """Raises ValueError if this is a supervisor that cannot listen where it should."""
    context = _serve_command()
    if context is not None:
        host, port = context.params["host"], context.params["port"]
        check_address(HOST if host is None else host, PORT if port is None else port)


def supervise(workers: int) -> None:
    """Prepare this process for its workers, if it is a supervisor."""
    context = _serve_command()
    if context is None:
        return
    for name, value in ALLOCATOR.items():
        os.environ.setdefault(name, value)
    if (descriptor := metrics.share(workers)) is not None:
        os.environ[METRICS] = str(descriptor)
    if os.name == "posix":
        lifeline, _ = os.pipe()  # the other end stays open as long as this process lives
        os.set_inheritable(lifeline, True)
        os.environ[LIFELINE] = str(lifeline)
    failed = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal failed
        failed = True
        signal.raise_signal(signal.SIGTERM)  # end all workers in order

    def close() -> None:
        if failed:
            raise SystemExit("Quintet ends: its workers cannot start, for the reason above.")

    signal.signal(FAILED, stop)
    context.call_on_close(close)


def _serve_command() -> click.Context | None:
    """The command line of `bentoml serve` if this is its process, and no worker's."""
    context = click.get_current_context(silent=True)
    if is_worker() or context is None or context.info_name != "serve" or "port" not in context.params:
        return None
    return context


def is_worker() -> bool:
    return bentoml.server_context.worker_index is not None


def give_up(reason: Exception) -> NoReturn:
    """End this process, and in a worker its supervisor too: it would start workers without end."""
    print(f"Quintet does not start: {reason}", file=sys.stderr, flush=True)  # first: the supervisor ends its workers
    if is_worker():
        os.kill(os.getppid(), FAILED if LIFELINE in os.environ else signal.SIGTERM)
    raise SystemExit(1) from reason


def check_address(host: str, port: int) -> None:
    """Raises ValueError if nothing can listen there: the supervisor would fail with a long traceback, or not at all."""
    if not 0 <= port <= 65_535:
        raise ValueError(f"there is no port {port}; ports are numbers from 1 to 65535.")
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    except ValueError as error:
        raise ValueError(f"{host!r} is not an IP address to listen on; give one, such as 0.0.0.0.") from error
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "something else listens there; choose another port" if taken else f"{error.strerror}"
            raise ValueError(f"cannot listen on port {port} of {host}: {reason}.") from error


def shared_metrics(worker: int) -> Any:
    """The metrics of all workers, for `create_app`, and the number of this worker among them."""
    descriptor = os.environ.get(METRICS)
    return metrics.rows(int(descriptor) if is_worker() and descriptor else None, worker)


def health() -> Health:
    """That of this worker, which ends when its models have failed for good, so that the supervisor replaces it."""
    return Health(on_failure=lambda: os.kill(os.getpid(), signal.SIGTERM))


def end_gently(health: Health, seconds: float) -> None:
    """After SIGTERM, be unready for so many seconds before connections are refused. Call it in the event loop.

    Load balancers notice the one before the other. A second SIGTERM ends the wait. If the supervisor is killed, the
    worker ends without waiting: nobody would end it later, and it would keep the port.
    """
    refuse, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()
    assert callable(refuse)  # uvicorn's

    def begin(number: int, frame: FrameType | None) -> None:
        if health.is_ready and seconds > 0:
            health.is_ready = False
            loop.call_soon_threadsafe(loop.call_later, seconds, refuse, number, None)
        else:
            health.is_ready = False
            refuse(number, frame)

    signal.signal(signal.SIGTERM, begin)
    if is_worker() and LIFELINE in os.environ:
        lifeline = int(os.environ[LIFELINE])

        def lost() -> None:
            loop.remove_reader(lifeline)
            health.fail()

        loop.add_reader(lifeline, lost)
