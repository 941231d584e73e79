"""A process that decodes what this one should not: a damaged or hostile file ends it, not the service.

A decoder (`decoder.main`) gets the bytes of a file and gives its pixels. It has limits of its own; here is the limit of
the time that passes, which is all there is on a system without the others.
"""

import atexit
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache

from .container import DAMAGED, READABLE, Format
from .decoder import READY, REPLY, REQUEST, SLOW, Pixels, unpacked
from .errors import InvalidImage, OutOfTime, TooMuchWork

SECONDS = 1.8  # of processor time for the pictures of one request: with the rest, an upload of 10 MB costs up to 2
PATIENCE = 20.0  # seconds for a picture of less than 2 of processor time: on a busy machine they take as long
LARGEST = 4 * (2 * READABLE) ** 2 + 1_000  # bytes of a reply
KEPT = "PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"  # of the environment: no key, no password


class Budget:
    """What the pictures of one request may take together. For any number of threads."""

    def __init__(self, seconds: float = SECONDS, deadline: float | None = None) -> None:
        """seconds: of processor time; deadline: time by time.perf_counter() after which nothing is waited for."""
        self.seconds, self.deadline = seconds, deadline
        self._left = seconds
        self._lock = threading.Lock()

    def left(self) -> float:
        """Seconds of processor time. Raises TooMuchWork if there are none, OutOfTime after the deadline."""
        if self.until() <= 0:
            raise OutOfTime
        if self._left <= 0:
            raise TooMuchWork(f"The images take more than {self.seconds:g} seconds to decode together; send fewer.")
        return self._left

    def spend(self, seconds: float) -> None:
        with self._lock:
            self._left -= seconds

    def until(self) -> float:
        """Seconds until the deadline."""
        return threading.TIMEOUT_MAX if self.deadline is None else self.deadline - time.perf_counter()


class Decoder:
    """One decoder process for all threads of this one. It is replaced when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._starting = threading.Lock()
        self._turn = threading.Lock()  # it decodes one picture at a time

    def start(self) -> None:
        """Start it, so that no picture waits for it. Returns at once."""
        with self._starting:
            if self._process is not None and self._process.poll() is None:
                return
            self.close()
            # The modules of this process, wherever it found them, and as few of its secrets as possible.
            environment = {name: os.environ[name] for name in KEPT if name in os.environ}
            environment |= {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
            environment |= {"PYTHONSAFEPATH": "1", "MALLOC_ARENA_MAX": "1"}  # an arena for each thread counts as memory
            self._is_ready = False
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.decoder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libtiff writes a line for each bad row: 115 MB for a hostile file
                env=environment,
                start_new_session=True,  # a group of its own, to be ended together
            )

    def load(self, data: bytes, kind: Format, max_pixels: int, budget: Budget) -> Pixels:
        """`decoder.load` in that process, which is started if it is not.

        Raises the errors of `decoder.load`, TooMuchWork for a picture that takes too long, OutOfTime if it is not free
        before the deadline.
        """
        if not self._turn.acquire(timeout=max(budget.until(), 0)):
            raise OutOfTime
        try:
            return self._load(data, kind, max_pixels, budget)
        finally:
            self._turn.release()

    def _load(self, data: bytes, kind: Format, max_pixels: int, budget: Budget) -> Pixels:
        seconds = budget.left()
        self.start()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        too_late = threading.Event()

        def end() -> None:
            too_late.set()
            _kill(process)

        timer = threading.Timer(min(budget.until(), PATIENCE), end)
        timer.start()
        try:
            self._is_ready = self._is_ready or process.stdout.read(len(READY)) == READY
            process.stdin.write(REQUEST.pack(kind.encode(), max_pixels, seconds, len(data)))
            process.stdin.write(data)
            process.stdin.flush()
            used, size = REPLY.unpack(process.stdout.read(REPLY.size))
            reply = process.stdout.read(min(size, LARGEST))
            if len(reply) < size:
                raise EOFError
        except (OSError, EOFError, struct.error) as error:
            self.close()
            if not self._is_ready and not too_late.is_set():
                command = f"{sys.executable} -m {__package__}.decoder"
                raise RuntimeError(f"The decoder of pictures does not start; `{command}` says why.") from error
            self.start()
            budget.spend(seconds)
            if budget.until() <= 0:
                raise OutOfTime from error
            raise TooMuchWork(SLOW) if too_late.is_set() else InvalidImage(DAMAGED) from error
        finally:
            timer.cancel()
        budget.spend(used)
        if used >= seconds and seconds < budget.seconds:
            budget.left()  # it would not have been too slow alone
        return unpacked(reply)

    def close(self) -> None:
        """End the process, at once if it is at work."""
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a decoder and the picture that it is at, unless they have ended or are another process's."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@cache
def shared() -> Decoder:
    """The decoder of this process, closed at its end."""
    decoder = Decoder()
    atexit.register(decoder.close)
    return decoder


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.cache_clear)  # two processes would mix up their pictures
