"""How the service starts and ends: what BentoML's supervisor and its workers have to agree on.

`bentoml serve` is the supervisor: it imports the service, opens the port and starts workers, each of which imports the
service again and is started anew when it dies. Read in BentoML 1.4.39.
"""

import asyncio
import errno
import ipaddress
import os
import signal
import socket
import tempfile
from types import FrameType
from typing import NoReturn

import bentoml
import click

# The supervisor's folder for the metrics of its workers. BentoML's own is one for all servers of a user, and emptied at
# each start: it would empty the metrics of those that run.
METRICS = "PROMETHEUS_MULTIPROC_DIR"  # BentoML and prometheus_client know it by this name
OWN_METRICS = "OWN_PROMETHEUS_MULTIPROC_DIR"  # BentoML overwrites the other one for its workers
HOST, PORT = "0.0.0.0", 3000  # where `bentoml serve` listens without its options
FAILED = signal.SIGUSR1  # a worker tells its supervisor that no other worker could start


def prepare() -> None:
    """Prepare this process, a supervisor, a worker or neither, for what follows the import of the service.

    Raises ValueError if the supervisor cannot listen where it should.
    """
    context = click.get_current_context(silent=True)
    if is_worker():
        os.environ[METRICS] = os.environ.get(OWN_METRICS, os.environ.get(METRICS, ""))
    elif context is not None and context.info_name == "serve" and "port" in context.params:
        host, port = context.params["host"], context.params["port"]
        check_address(HOST if host is None else host, PORT if port is None else port)
        _supervise(context)


def is_worker() -> bool:
    return bentoml.server_context.worker_index is not None


def give_up(reason: Exception) -> NoReturn:
    """End this process, and in a worker its supervisor too: it would start workers without end."""
    if is_worker():
        os.kill(os.getppid(), FAILED if OWN_METRICS in os.environ else signal.SIGTERM)
    raise SystemExit(f"Quintet does not start: {reason}") from reason


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


def _supervise(context: click.Context) -> None:
    folder = tempfile.TemporaryDirectory(prefix="quintet-metrics-")
    os.environ[OWN_METRICS] = folder.name
    failed = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal failed
        failed = True
        signal.raise_signal(signal.SIGTERM)  # end all workers in order

    def close() -> None:
        folder.cleanup()
        if failed:
            raise SystemExit("Quintet ends: its workers cannot start, for the reason above.")

    signal.signal(FAILED, stop)
    context.call_on_close(close)


class Health:
    """Whether this worker should be sent requests: not while it ends, and not after its models failed for good."""

    def __init__(self) -> None:
        self.is_ready = True

    def end_gently(self, seconds: float) -> None:
        """After SIGTERM, be unready for so many seconds before connections are refused. Call it in the event loop.

        Load balancers notice the one before the other. A second SIGTERM ends the wait.
        """
        refuse, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()
        assert callable(refuse)  # uvicorn's

        def begin(number: int, frame: FrameType | None) -> None:
            if self.is_ready and seconds > 0:
                self.is_ready = False
                loop.call_soon_threadsafe(loop.call_later, seconds, refuse, number, None)
            else:
                refuse(number, frame)

        signal.signal(signal.SIGTERM, begin)

    def fail(self) -> None:
        """The models failed for good: be unready, and end this worker so that the supervisor replaces it."""
        if self.is_ready:
            self.is_ready = False
            os.kill(os.getpid(), signal.SIGTERM)
