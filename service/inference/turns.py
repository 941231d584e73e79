"""A lock that threads get in the order in which they asked for it."""

import threading
from collections import deque
from types import TracebackType


class Turns:
    """A reentrant lock without starvation.

    Reading a page releases and takes the lock in a loop, batch by batch. With `threading.Lock`, it would usually get
    the lock again before a waiting thread wakes up. Here `release` passes the lock to the first thread in the queue.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._queue: deque[tuple[int, threading.Lock]] = deque()  # thread, and the lock that it sleeps on
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True) -> bool:
        """Take the lock. With blocking=False, return False if another thread has it."""
        thread = threading.get_ident()
        with self._guard:
            if self._owner in (None, thread):
                self._owner, self._depth = thread, self._depth + 1
                return True
            if not blocking:
                return False
            turn = threading.Lock()
            turn.acquire()
            self._queue.append((thread, turn))
        turn.acquire()  # returns when `release` in another thread has made this thread the owner
        return True

    def release(self) -> None:
        with self._guard:
            self._depth -= 1
            if self._depth:
                return
            self._owner = None
            if self._queue:
                self._owner, turn = self._queue.popleft()
                self._depth = 1
                turn.release()

    def __enter__(self) -> "Turns":
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
