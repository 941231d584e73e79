import asyncio
import threading
import time
from typing import ClassVar

import numpy as np
import pytest

from service.inference.batcher import Batcher
from service.inference.device import DeviceLost
from service.inference.shapes import LARGEST
from service.inference.turns import Turns


class Numbered(int):
    """The number of a batch in the place of its answers."""

    by_name: ClassVar[dict] = {}


class Predictor:
    """Records the size of each batch; on request, waits until the test lets it continue."""

    def __init__(self):
        self.batches = []
        self.turns = Turns()
        self.go_on = threading.Event()
        self.go_on.set()
        self.running = threading.Event()
        self.fails = False

    def classify(self, images, names):
        self.running.set()
        assert self.go_on.wait(10)
        self.batches.append((images[:, 0, 0, 0].tolist(), list(names)))
        if self.fails:
            raise RuntimeError("out of memory")
        return Numbered(len(self.batches) - 1)


@pytest.fixture
def predictor():
    return Predictor()


def image(*values):
    return np.stack([np.full((1, 28, 28), value, np.uint8) for value in values])


async def while_busy(predictor, batcher, *requests):
    """Submit (images, names) one after another while a first batch runs, then let it finish. Returns the answers."""
    predictor.go_on.clear()
    first = asyncio.create_task(asyncio.to_thread(batcher.now, image(0), ["cnn"]))
    await asyncio.to_thread(predictor.running.wait)
    tasks = []
    for images, names in requests:
        assert batcher.now(images, names) is None
        tasks.append(asyncio.create_task(batcher.join(images, names)))
        await asyncio.sleep(0)
    return first, tasks


def test_an_idle_service_runs_at_once_in_the_same_thread(predictor):
    before = time.perf_counter()
    share = Batcher(predictor).now(image(5), ["cnn"])
    assert (share.answers, share.first) == (0, 0) and before <= share.started <= time.perf_counter()
    assert predictor.batches == [([5], ["cnn"])]


def test_who_arrives_while_a_batch_runs_forms_the_next(predictor):
    async def story():
        batcher = Batcher(predictor)
        requests = [(image(1), ["cnn"]), (image(2, 3), ["cnn"]), (image(4), ["cnn"])]
        _, tasks = await while_busy(predictor, batcher, *requests)
        predictor.go_on.set()
        return await asyncio.gather(*tasks)

    shares = asyncio.run(story())
    assert predictor.batches == [([0], ["cnn"]), ([1, 2, 3, 4], ["cnn"])]
    assert [share.first for share in shares] == [0, 1, 3]
    assert all(share.answers == 1 and share.started == shares[0].started for share in shares)


def test_after_a_batch_comes_the_next(predictor):
    async def story():
        batcher = Batcher(predictor)
        for value in range(3):
            share = await asyncio.wait_for(batcher.join(image(value), ["cnn"]), 10)
            assert share.answers == value

    asyncio.run(story())
    assert [images for images, _ in predictor.batches] == [[0], [1], [2]]


def test_others_models_make_another_batch_and_nobody_is_passed_over(predictor):
    async def story():
        batcher = Batcher(predictor)
        requests = [(image(1), ["cnn"]), (image(2), ["vit"]), (image(3), ["cnn"]), (image(4), ["vit"])]
        _, tasks = await while_busy(predictor, batcher, *requests)
        taken = batcher._take()
        late = asyncio.create_task(batcher.join(image(5), ["cnn"]))
        await asyncio.sleep(0)
        assert [waiting.names for waiting in batcher._take()] == [("vit",)] * 2  # before the late one
        assert [waiting.images[0, 0, 0, 0] for waiting in taken] == [1, 3]
        for task in (*tasks, late):
            task.cancel()
        predictor.go_on.set()

    asyncio.run(story())


def test_a_batch_has_a_largest_size(predictor):
    async def story():
        batcher = Batcher(predictor)
        _, tasks = await while_busy(predictor, batcher, *[(image(*[k] * 12), ["cnn"]) for k in range(4)])
        predictor.go_on.set()
        await asyncio.gather(*tasks)
        with pytest.raises(ValueError, match=f"33 images; a batch holds at most {LARGEST}"):
            await batcher.join(image(*[1] * 33), ["cnn"])

    asyncio.run(story())
    assert [len(images) for images, _ in predictor.batches] == [1, 24, 24]


def test_who_gave_up_is_left_out(predictor):
    async def story():
        batcher = Batcher(predictor)
        _, tasks = await while_busy(predictor, batcher, (image(1), ["cnn"]), (image(2), ["cnn"]))
        tasks[0].cancel()
        await asyncio.sleep(0)
        predictor.go_on.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    gone, share = asyncio.run(story())
    assert isinstance(gone, asyncio.CancelledError) and share.first == 0
    assert predictor.batches[1:] == [([2], ["cnn"])]


def test_a_failure_is_heard_by_its_own_batch_only(predictor):
    async def story():
        batcher = Batcher(predictor)
        first, tasks = await while_busy(predictor, batcher, (image(1), ["cnn"]))
        predictor.fails = True
        predictor.go_on.set()
        heard = await asyncio.gather(first, *tasks, return_exceptions=True)
        predictor.fails = False
        return heard, batcher.now(image(9), ["cnn"])

    heard, share = asyncio.run(story())
    assert [str(error) for error in heard] == ["out of memory", "The batch failed: out of memory"]
    assert share.answers == 2


def test_who_waits_comes_before_who_arrives_later(predictor):
    async def story():
        batcher = Batcher(predictor)
        waiting = asyncio.create_task(batcher.join(image(1), ["cnn"]))
        await asyncio.sleep(0)  # it waits, and its batch has not begun
        assert batcher.now(image(2), ["cnn"]) is None
        await waiting

    asyncio.run(story())


def test_who_gives_up_while_its_batch_runs_hurts_no_other(predictor):
    async def story():
        batcher = Batcher(predictor)
        predictor.go_on.clear()
        tasks = [asyncio.create_task(batcher.join(image(value), ["cnn"])) for value in (1, 2)]
        await asyncio.to_thread(predictor.running.wait)
        tasks[0].cancel()
        await asyncio.sleep(0)
        predictor.go_on.set()
        return await asyncio.wait_for(tasks[1], 10)

    share = asyncio.run(story())
    assert predictor.batches == [([1, 2], ["cnn"])] and share.first == 1


def test_without_a_thread_those_who_wait_hear_of_it(predictor, monkeypatch):
    async def no_thread(*_arguments, **_keywords):
        raise RuntimeError("can't start new thread")

    async def story():
        batcher = Batcher(predictor)
        monkeypatch.setattr("service.inference.batcher.anyio.to_thread.run_sync", no_thread)
        with pytest.raises(RuntimeError, match="The batch failed: can't start new thread"):
            await asyncio.wait_for(batcher.join(image(1), ["cnn"]), 10)
        monkeypatch.undo()
        return await asyncio.wait_for(batcher.join(image(2), ["cnn"]), 10)

    assert asyncio.run(story()).answers == 0


def test_many_images_take_turns_with_the_others(predictor):
    async def story():
        return await Batcher(predictor).each(image(*range(70)), ["cnn"])

    shares = asyncio.run(story())
    assert [len(images) for images, _ in predictor.batches] == [LARGEST, LARGEST, 6]
    assert [predictor.batches[share.answers][0][share.first] for share in shares] == list(range(70))


def test_a_lost_device_is_told_apart_from_a_failed_batch(predictor):
    def lost(*_arguments):
        raise DeviceLost("The models no longer run on 'cuda': CUDA failure 719")

    async def story():
        await Batcher(predictor).join(image(1), ["cnn"])

    predictor.classify = lost
    with pytest.raises(DeviceLost, match="^The models no longer run on 'cuda': CUDA failure 719$"):
        asyncio.run(story())
