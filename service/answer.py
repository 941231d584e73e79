"""One uploaded image to the JSON of an answer: what is seen in it, and what is said of it."""

import asyncio
import base64
import time
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter
from PIL import Image

from .inference.batcher import Batcher, Share
from .inference.explanation import Explanation
from .inference.explanation import explain as explain_models
from .inference.predictor import Answer, Predictor
from .picture.container import inspect
from .picture.decode import grey_from_upload
from .picture.digit import Canonical, canonicalise
from .picture.errors import OutOfTime
from .picture.framing import SIZE
from .reading.crowd import count_digits
from .reading.reader import read
from .settings import Settings
from .timeline import mark

DECIMALS = 6  # of probabilities
SMALL = 4_096  # bytes that an image of MNIST's size may have


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An upload as the models see it."""

    canonical: Canonical
    reduced: float  # pixels of the upload per pixel of the picture that was canonicalised
    digits: int  # that stand in it
    waited_ms: float  # before it was decoded
    decode_ms: float
    canonicalise_ms: float
    finished: float  # when it was ready for the models, by time.perf_counter

    @property
    def may_be_accepted(self) -> bool:
        """Whether it may be accepted: something was written, and only one sign."""
        return self.canonical.is_sure and self.digits == 1

    @property
    def images(self) -> np.ndarray:
        """A batch of one, (1, 1, 28, 28) uint8."""
        return self.canonical.image[None, None]


def see(
    data: bytes,
    predictor: Predictor,
    max_pixels: int,
    formats: tuple[str, ...],
    arrived: float | None = None,
    count: bool = True,
) -> Seen:
    """Decode and canonicalise the bytes of an image that came at `arrived`, a time by time.perf_counter.

    count: say how many digits there are, which may take a search by Faster R-CNN; without it `digits` is 1.

    Raises InvalidImage, ImageTooLarge.
    """
    started = time.perf_counter()
    picture, reduced = grey_from_upload(data, max_pixels, formats)
    decoded = time.perf_counter()
    canonical = canonicalise(picture, predictor.finder)
    digits = count_digits(canonical.crowd, predictor) if count and canonical.crowd is not None else 1
    finished = time.perf_counter()
    if arrived is not None:
        mark("queue", arrived, started)
    mark("decode", started, decoded)
    mark("canonicalise", decoded, finished)
    return Seen(
        canonical=canonical,
        reduced=reduced,
        digits=digits,
        waited_ms=(started - (arrived or started)) * 1e3,
        decode_ms=(decoded - started) * 1e3,
        canonicalise_ms=(finished - decoded) * 1e3,
        finished=finished,
    )


def is_small(data: bytes, settings: Settings) -> bool:
    """Whether the bytes of an image are of one that has MNIST's size and is decoded at once. Raises InvalidImage."""
    if len(data) > SMALL:
        return False
    header = inspect(data, settings.formats, settings.max_pixels)
    return header is not None and max(header.width, header.height) <= SIZE


async def answer(
    data: bytes,
    batcher: Batcher,
    names: list[str],
    settings: Settings,
    decoding: CapacityLimiter,
    explain: bool = False,
) -> dict[str, Any]:
    """The JSON of one prediction (`schema.Prediction`, but for the total time) for the bytes of an image.

    `decoding` limits how many are decoded at once. Raises InvalidImage, ImageTooLarge.
    """
    arrived = time.perf_counter()

    def look() -> tuple[Seen, Share | None]:
        seen = see(data, batcher.predictor, settings.max_pixels, settings.formats, arrived, count=not here)
        return seen, None if here and not batcher.is_alone else batcher.now(seen.images, names)

    with batcher.visit():
        here = is_small(data, settings)
        if here:  # to a thread and back takes longer than decoding it
            await asyncio.sleep(0)  # so that the requests that came with it are counted, and share a batch with it
            seen, share = look()
            if (crowd := seen.canonical.crowd) is not None:  # a search that may take 60 ms
                digits = await anyio.to_thread.run_sync(count_digits, crowd, batcher.predictor, limiter=decoding)
                seen = replace(seen, digits=digits)
        else:
            seen, share = await anyio.to_thread.run_sync(look, limiter=decoding)
        if share is None:
            share = await batcher.join(seen.images, names)
    explained = None
    if explain:
        digit = share.answers.verdicts[share.first].digit
        looking = partial(explain_models, batcher.predictor, seen.canonical.image, names, digit)
        explained = await anyio.to_thread.run_sync(looking, limiter=decoding)
    return describe(seen, share, batcher.predictor.device, explain, explained)


def describe(
    seen: Seen, share: Share, device: str, explain: bool = False, explained: dict[str, Explanation] | None = None
) -> dict[str, Any]:
    """The JSON of one prediction (`schema.Prediction`, but for the total time).

    explain: add the 28x28 image; explained: and what each model looks at in it.
    """
    answers, index = share.answers, share.first
    queue_ms = seen.waited_ms + (share.started - seen.finished) * 1e3
    verdict = answers.verdicts[index]
    result: dict[str, Any] = {
        "digit": verdict.digit,
        "confidence": round(verdict.confidence, DECIMALS),
        "accepted": seen.may_be_accepted and verdict.accepted,
        "digits_seen": seen.digits,
        "agreement": verdict.agreement,
        "models": [_model(name, answer, index, seen) for name, answer in answers.by_name.items()],
        "timing_ms": {
            "decode": round(seen.decode_ms, 3),
            "canonicalise": round(seen.canonicalise_ms, 3),
            "queue": round(queue_ms, 3),
            "inference": round(answers.inference_ms, 3),
        },
        "device": device,
    }
    if seen.digits > 1:
        result["note"] = f"The image holds {seen.digits} digits; send it to /read, which reads them all."
    if explain:
        ink = seen.canonical.ink
        result["explain"] = {
            "image": _data_url(seen.canonical.image),
            "ink": None if ink is None else _data_url(ink),
        }
        if explained is not None:
            result["explain"]["models"] = {name: looked.as_json() for name, looked in explained.items()}
    return result


def describe_page(
    predictor: Predictor,
    names: list[str],
    data: bytes,
    settings: Settings,
    deadline: float | None = None,
    explain: bool = False,
) -> dict[str, Any]:
    """The JSON of what is read in the bytes of an image (`schema.Text`, but for the total time).

    explain: add the 28x28 image of each digit.

    Raises InvalidImage, ImageTooLarge, TooMuchWork, and OutOfTime after `deadline`, a time by time.perf_counter.
    """
    started = time.perf_counter()
    if deadline is not None and started > deadline:
        raise OutOfTime  # it waited that long for its slot
    picture, reduced = grey_from_upload(data, settings.max_pixels, settings.formats)
    decoded = time.perf_counter()
    page = read(picture, predictor, predictor.finder, names, deadline)
    finished = time.perf_counter()
    mark("decode", started, decoded)
    mark("read", decoded, finished)
    lines: dict[int, list[str]] = {}
    for reading in page.readings:
        if reading.accepted:
            lines.setdefault(reading.line, []).append(str(reading.digit))
    return {
        "text": "\n".join("".join(lines[line]) for line in sorted(lines)),
        "digits": [
            {
                "digit": reading.digit,
                "confidence": round(reading.confidence, DECIMALS),
                "accepted": reading.accepted,
                "box": [round(value * reduced, 1) for value in reading.box],
                "line": reading.line,
            }
            | ({"image": _data_url(reading.image)} if explain else {})
            for reading in page.readings
        ],
        "digits_seen": sum(reading.accepted for reading in page.readings),
        "turned": page.turned,
        "timing_ms": {
            "decode": round((decoded - started) * 1e3, 3),
            "read": round((finished - decoded) * 1e3, 3),
        },
        "device": predictor.device,
    }


def _model(name: str, answer: Answer, index: int, seen: Seen) -> dict[str, Any]:
    probabilities = answer.probabilities[index]
    result: dict[str, Any] = {
        "name": name,
        "digit": int(probabilities.argmax()),
        "confidence": round(float(probabilities.max()), DECIMALS),
        "probabilities": [round(float(p), DECIMALS) for p in probabilities],
        "latency_ms": round(answer.milliseconds, 3),
    }
    if answer.boxes is not None:
        result["box"] = [round(value * seen.reduced, 1) for value in seen.canonical.to_picture(answer.boxes[index])]
    return result


def _data_url(image: np.ndarray) -> str:
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
