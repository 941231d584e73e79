"""Requests that arrive while the models are busy form the next batch; where nobody waits, nothing is waited for.

The models run one batch at a time: two at once on the same cores or GPU only slow each other down. A request that finds
them idle is run in its own thread, at once. One that does not joins those that wait, and when the models are free, all
that wait for the same models go together. There is no timer.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, replace

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter

from service.inference.predictor import LARGEST, Answers


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a request got: its images are those of the batch from `first` on."""

    answers: Answers
    started: float  # when its batch began, by time.perf_counter
    first: int = 0


@dataclass(eq=False, kw_only=True)
class Waiting:
    images: np.ndarray  # (N, 1, 28, 28) uint8
    names: tuple[str, ...]
    share: asyncio.Future


class Batcher:
    def __init__(self, predictor):
        self.predictor = predictor
        self._waiting = deque()
        self._runner = None  # the task that runs batches for as long as somebody waits
        self._thread = CapacityLimiter(1)

    def now(self, images, names):
        """Run images (N, 1, 28, 28) uint8 in this thread if the models are idle and nobody waits. Else None."""
        if self._waiting or not self.predictor.busy.acquire(blocking=False):
            return None
        try:
            started = time.perf_counter()
            return Share(answers=self.predictor.classify(images, names), started=started)
        finally:
            self.predictor.busy.release()

    async def join(self, images, names):
        """Wait for a share in a batch. At most LARGEST images; whoever is cancelled while waiting is left out."""
        if len(images) > LARGEST:
            raise ValueError(f"{len(images)} images; at most {LARGEST} go into a batch.")
        waiting = Waiting(images=images, names=tuple(names), share=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await waiting.share

    async def each(self, images, names):
        """One Share for each of images (N, 1, 28, 28) uint8, of which `first` is its place; N may be any number."""
        shares = []
        for start in range(0, len(images), LARGEST):  # others have their turn between
            part = images[start : start + LARGEST]
            share = await self.join(part, names)
            shares += [replace(share, first=share.first + index) for index in range(len(part))]
        return shares

    async def _run(self):
        try:
            while self._waiting:
                batch, outcome, started = await anyio.to_thread.run_sync(self._next, limiter=self._thread)
                first = 0
                for waiting in batch:
                    if isinstance(outcome, Exception):
                        _fail(waiting, outcome)
                    elif not waiting.share.done():  # given up meanwhile
                        waiting.share.set_result(Share(answers=outcome, started=started, first=first))
                    first += len(waiting.images)
        except Exception as error:  # no thread is to be had: nobody else would tell them
            while self._waiting:
                _fail(self._waiting.popleft(), error)
        finally:
            self._runner = None

    def _next(self):
        """Wait for the models, take whoever waits by then, and run them. Returns them, what came out, and when."""
        with self.predictor.busy:
            started, batch = time.perf_counter(), self._take()
            if not batch:
                return batch, None, started
            try:
                images = np.concatenate([waiting.images for waiting in batch])
                return batch, self.predictor.classify(images, list(batch[0].names)), started
            except Exception as error:  # theirs to hear, and no reason for the next batch not to run
                return batch, error, started

    def _take(self):
        """The first that waits, and all behind it that ask the same models, as long as there is room."""
        batch, rest, room = [], [], LARGEST
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.share.done():
                continue
            if room >= len(waiting.images) and (not batch or waiting.names == batch[0].names):
                batch.append(waiting)
                room -= len(waiting.images)
            else:
                rest.append(waiting)
        self._waiting.extendleft(reversed(rest))
        return batch


def _fail(waiting, error):
    if not waiting.share.done():
        failure = RuntimeError(f"The batch failed: {error}")
        failure.__cause__ = error
        waiting.share.set_exception(failure)
