"""Dynamic batching without a timer: requests that arrive while the models are busy form the next batch.

A request that finds the models idle runs at once, in the thread that it is in. Otherwise it waits; when the models are
free, all waiting requests for the same models run together.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter

from ..timeline import mark
from .device import DeviceLost
from .predictor import Answers, Predictor
from .shapes import LARGEST


@dataclass(frozen=True, kw_only=True)
class Share:
    """A request's part of a batch."""

    answers: Answers  # of the whole batch
    started: float  # start of the batch, by time.perf_counter
    first: int = 0  # place of the request's first image in the batch


@dataclass(eq=False, kw_only=True)
class Waiting:
    images: np.ndarray  # (N, 1, 28, 28) uint8
    names: tuple[str, ...]
    share: asyncio.Future[Share]


class Batcher:
    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._waiting: deque[Waiting] = deque()
        self._runner: asyncio.Task[None] | None = None  # runs batches as long as requests wait
        self._thread = CapacityLimiter(1)
        self._visits = 0

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Around a request, from before its image is decoded until it is answered; see `is_alone`."""
        self._visits += 1
        try:
            yield
        finally:
            self._visits -= 1

    @property
    def is_alone(self) -> bool:
        """Whether no more than one request is visiting: none other would share its batch."""
        return self._visits <= 1

    def now(self, images: np.ndarray, names: Sequence[str]) -> Share | None:
        """Run images (N, 1, 28, 28) uint8 in this thread. Returns None if the models are busy or a request waits."""
        if self._waiting or not self.predictor.turns.acquire(blocking=False):
            return None
        try:
            started = time.perf_counter()
            share = Share(answers=self.predictor.classify(images, names), started=started)
            _mark(share)
            return share
        finally:
            self.predictor.turns.release()

    async def join(self, images: np.ndarray, names: Sequence[str]) -> Share:
        """Wait for a share in a batch. images: (N, 1, 28, 28) uint8, at most LARGEST.

        A request that is cancelled while it waits is left out of the batch.
        """
        if len(images) > LARGEST:
            raise ValueError(f"{len(images)} images; a batch holds at most {LARGEST}.")
        arrived = time.perf_counter()
        waiting = Waiting(images=images, names=tuple(names), share=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        share = await waiting.share
        mark("queue", arrived, share.started)
        _mark(share)
        return share

    async def each(self, images: np.ndarray, names: Sequence[str]) -> list[Share]:
        """One share for each of images (N, 1, 28, 28) uint8, for any N."""
        shares = []
        for start in range(0, len(images), LARGEST):  # other requests run between these batches
            part = images[start : start + LARGEST]
            share = await self.join(part, names)
            shares += [replace(share, first=share.first + index) for index in range(len(part))]
        return shares

    async def _run(self) -> None:
        try:
            while self._waiting:
                for waiting, outcome in await anyio.to_thread.run_sync(self._next, limiter=self._thread):
                    if isinstance(outcome, Exception):
                        _fail(waiting, outcome)
                    elif not waiting.share.done():  # it is done if it was cancelled
                        waiting.share.set_result(outcome)
        except Exception as error:  # no thread could be started: without this, the requests would wait for ever
            while self._waiting:
                _fail(self._waiting.popleft(), error)
        finally:
            self._runner = None

    def _next(self) -> list[tuple[Waiting, Share | Exception]]:
        """Wait for the models, then run the requests that wait at that time. Returns each with its outcome."""
        with self.predictor.turns:
            started, batch = time.perf_counter(), self._take()
            if not batch:
                return []
            try:
                images = np.concatenate([waiting.images for waiting in batch])
                answers = self.predictor.classify(images, list(batch[0].names))
            except Exception as error:  # only this batch fails; the next one runs
                return [(waiting, error) for waiting in batch]
        firsts = accumulate((len(waiting.images) for waiting in batch), initial=0)
        return [
            (waiting, Share(answers=answers, started=started, first=first))
            for waiting, first in zip(batch, firsts, strict=False)
        ]

    def _take(self) -> list[Waiting]:
        """Take the first waiting request, and all later ones for the same models that fit into the batch."""
        batch, rest, room = [], [], LARGEST
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.share.done():  # cancelled
                continue
            if room >= len(waiting.images) and (not batch or waiting.names == batch[0].names):
                batch.append(waiting)
                room -= len(waiting.images)
            else:
                rest.append(waiting)
        self._waiting.extendleft(reversed(rest))
        return batch


def _mark(share: Share) -> None:
    """Mark the time of each model in the timeline. Models run one after another."""
    started = share.started
    for name, answer in share.answers.by_name.items():
        finished = started + answer.milliseconds / 1e3
        mark(name, started, finished)
        started = finished


def _fail(waiting: Waiting, error: Exception) -> None:
    """Fail a request with its own exception, because a shared one would collect the tracebacks of all requests."""
    if not waiting.share.done():
        failure = (
            DeviceLost(str(error)) if isinstance(error, DeviceLost) else RuntimeError(f"The batch failed: {error}")
        )
        failure.__cause__ = error
        waiting.share.set_exception(failure)
