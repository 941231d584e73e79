"""Where an image is decoded and classified: in the event loop if it is as small as MNIST's, else in a thread."""

import asyncio
import threading
from io import BytesIO

import numpy as np
import pytest
from anyio import CapacityLimiter
from PIL import Image

from service import settings as environment
from service.answer import SMALL, answer, is_small
from service.inference.batcher import Batcher
from service.inference.consensus import Verdict
from service.inference.predictor import Answer, Answers
from service.inference.turns import Turns


class Predictor:
    """Says of every image that it is a seven, and notes the size and the thread of each batch."""

    device = "cpu"

    def __init__(self, finder):
        self.finder, self.turns, self.batches = finder, Turns(), []
        self.searches = []

    def classify(self, images, names):
        self.batches.append((len(images), threading.current_thread()))
        probabilities = np.eye(10, dtype=np.float32)[[7] * len(images)]
        by_name = {name: Answer(probabilities=probabilities, milliseconds=0.1) for name in names}
        verdict = Verdict(digit=7, confidence=1.0, accepted=True, agreement=len(names))
        return Answers(by_name=by_name, verdicts=[verdict] * len(images), inference_ms=0.1)

    def detect(self, pages):
        """Sees two digits on every page, and notes the thread."""
        self.searches.append(threading.current_thread())
        return np.zeros((1, 2, 4), np.float32), np.ones((1, 2, 10), np.float32)


def png(side, strokes=1):
    pixels = np.zeros((side, side), np.uint8)
    for stroke in range(strokes):
        x = side * (stroke + 1) // (strokes + 1)
        pixels[side // 4 : side * 3 // 4, x - 1 : x + 1] = 255
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def ask(finder, *uploads):
    """The batches in which uploads that come together are classified."""
    predictor = Predictor(finder)

    async def together():
        batcher, slots = Batcher(predictor), CapacityLimiter(2)
        return await asyncio.gather(
            *(answer(upload, batcher, ["cnn"], environment.Settings(), slots) for upload in uploads)
        )

    answers = asyncio.run(together())
    assert [one["digit"] for one in answers] == [7] * len(uploads)
    return predictor.batches


def test_a_small_image_alone_needs_no_thread(finder):
    assert ask(finder, png(28)) == [(1, threading.current_thread())]


def test_small_images_that_come_together_share_a_batch_outside_the_event_loop(finder):
    ((size, thread),) = ask(finder, png(28), png(28), png(28))
    assert size == 3 and thread is not threading.current_thread()


def test_several_digits_are_counted_outside_the_event_loop(finder):
    """Bug: a small image of several marks held the event loop for 60 ms."""
    predictor = Predictor(finder)

    async def one():
        return await answer(png(28, 3), Batcher(predictor), ["cnn"], environment.Settings(), CapacityLimiter(2))

    said = asyncio.run(one())
    assert (said["digits_seen"], said["accepted"]) == (2, False)
    (thread,) = set(predictor.searches)
    assert thread is not threading.current_thread()


def test_a_larger_image_is_decoded_in_a_thread(finder):
    ((_, thread),) = ask(finder, png(280))
    assert thread is not threading.current_thread()


@pytest.mark.parametrize(
    ("upload", "small"),
    [(png(28), True), (png(29), False), (png(28) + bytes(SMALL), False), (b"no image", False), (b"", False)],
)
def test_small_is_what_has_at_most_the_sides_of_mnist_in_few_bytes(upload, small):
    assert is_small(upload, environment.Settings()) is small
