"""Read digits: one object that walks from the bytes of a picture to a typed answer.

    from service import Recogniser
    Recogniser().predict("seven.png").digit

Everything that reads a picture asks a `Recogniser`: the HTTP routes, the commands, the batch, the evaluation and the
benchmarks. Whether an image is accepted as a digit, and why not, is decided here; on a page, in reading/reader.py.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import settings as environment
from .answers import (
    Error,
    Explanation,
    Inside,
    Mark,
    ModelAnswer,
    Number,
    PageDigit,
    Prediction,
    ReadTiming,
    Reason,
    Text,
    Timing,
)
from .inference.consensus import Verdict
from .inference.device import LARGEST, parts
from .inference.explanation import Explainer, data_url
from .inference.predictor import Batch, Output, Predictor
from .picture.decode import grey_from_upload
from .picture.digit import Canonical, canonicalise
from .picture.errors import InvalidImage, OutOfTime
from .picture.isolation import SECONDS, Budget
from .reading.line import OTHER
from .reading.reader import around, count, read
from .settings import Settings

DECIMALS = 6  # of probabilities
SURE = 0.95  # confidence of a digit that is not doubtful; below it, the page shows a digit as doubtful too
Picture = bytes | str | Path | np.ndarray | Image.Image

NOTES: dict[Reason, str] = {
    "no_ink": "The image holds no ink.",
    "other_marks": "There are other marks beside the digit; send the image to /read, which reads them all.",
    "faint": "What stands out from the background is hardly writing.",
    "no_digit": "This does not look like a digit.",
    "unsure": "The networks are not sure enough that this is a digit.",
}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A picture as the models see it."""

    canonical: Canonical
    reduced: float  # pixels of the upload per pixel of the picture that was canonicalised
    digits: int  # that stand in it
    others: bool  # whether other marks stand beside them
    came: float  # when it came, was begun, was decoded and was ready for the models, by time.perf_counter
    begun: float
    decoded: float
    ready: float

    @property
    def images(self) -> np.ndarray:
        """A batch of one, (1, 1, 28, 28) uint8."""
        return self.canonical.image[None, None]


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What is said of N images of 28x28 pixels."""

    verdicts: list[Verdict]  # one without ink is not accepted
    mean: np.ndarray  # (N, 10), the calibrated mean of the chosen networks
    probabilities: dict[str, np.ndarray]  # (N, 10) of each network


class Recogniser:
    """The models, and all that leads from a picture to an answer. Safe to use from many threads.

    A picture is the bytes of an image file, the path of one, a grey array (H, W) uint8, an RGB array (H, W, 3) uint8
    or an image of Pillow's. `models` names networks, as "cnn,vit" or a sequence; None stands for all of them.
    """

    def __init__(
        self,
        models: Path | str | None = None,
        device: str | None = None,
        threads: int | None = None,
        *,
        settings: Settings | None = None,
        worker: int = 0,
    ) -> None:
        """Load the networks from the folder `models` on "auto", "cpu" or "cuda"; None: as the settings say.

        threads: of one inference, and one less than pictures that are decoded at once.
        settings: default: those of the environment, QUINTET_*.
        worker: the number of this process among several, from 0; they take the GPUs in turn.
        Raises UnusableArtefact for a missing or damaged file, RuntimeError if CUDA is requested and does not load.
        """
        settings = settings or environment.load()
        given = {"models": models and Path(models), "device": device, "threads": threads}
        self.settings = settings.model_copy(update={name: value for name, value in given.items() if value})
        self.predictor = Predictor(self.settings.models, self.settings.device, self.settings.threads, worker)
        self._explainer = Explainer(self.predictor, self.settings.threads)
        # A decoded picture is many times as large as its upload, so few are decoded at once. One more than there are
        # threads: while one picture's models run, another is prepared. Pages take a hundred times as long as digits, so
        # they have threads of their own, and leave half the cores free.
        self._decoding = ThreadPoolExecutor(self.settings.threads + 1, "decode")
        self._reading = ThreadPoolExecutor(max(1, self.settings.threads // 2), "read")

    @property
    def names(self) -> list[str]:
        """The networks, in the order of the answers."""
        return self.predictor.names

    def predict(self, picture: Picture, models: str | Sequence[str] | None = None, explain: bool = False) -> Prediction:
        """Read one digit. Raises InvalidImage for what is no picture or blank, UnknownModel, OSError.

        explain: add the 28x28 image and the ink before framing.
        """
        names, came = self.predictor.choose(models), time.perf_counter()
        seen = self._see(picture, came)
        return self._predict(seen, self.predictor.classify(seen.images, names), names, explain)

    def predict_many(
        self, pictures: Iterable[Picture], models: str | Sequence[str] | None = None
    ) -> list[Prediction | Error]:
        """Read one digit from each of many pictures, in order; one that cannot be read gets an Error.

        Each run of the models is filled up to LARGEST images: their probabilities depend on the size of a batch in the
        last bits (2e-9), and an answer should not depend on its neighbours.
        """
        names, came = self.predictor.choose(models), time.perf_counter()
        seen = [future.result() for future in [self._decoding.submit(self._try, one, came) for one in pictures]]
        readable = [one for one in seen if isinstance(one, Seen)]
        said = []
        for start in range(0, len(readable), LARGEST):
            part = readable[start : start + LARGEST]
            images = np.zeros((LARGEST, *part[0].images.shape[1:]), np.uint8)
            images[: len(part)] = np.concatenate([one.images for one in part])
            batch = self.predictor.classify(images, names)
            said += [batch.part(index, 1) for index in range(len(part))]
        answers = iter([self._predict(one, batch, names) for one, batch in zip(readable, said, strict=True)])
        return [next(answers) if isinstance(one, Seen) else one for one in seen]

    def read(
        self,
        picture: Picture,
        models: str | Sequence[str] | None = None,
        explain: bool = False,
        deadline: float | None = None,
        turn: bool = True,
    ) -> Text:
        """Read any number of digits, line by line.

        explain: add the 28x28 image of each; deadline: time by time.perf_counter() after which no work is begun; turn:
        whether a page that cannot be read upright is also read turned.
        Raises InvalidImage, TooMuchWork, UnknownModel, OSError, and OutOfTime after the deadline.
        """
        names, came = self.predictor.choose(models), time.perf_counter()
        return self._read(picture, names, came, explain, deadline, turn)

    def inside(self, picture: Picture, model: str, digit: int | None = None) -> Inside:
        """How one network comes to its answer: its layers and what they make of the picture.

        digit: whose probability is compared with squares covered; None: the one that the network reads.
        Raises InvalidImage, UnknownModel, OSError.
        """
        (name,), came = self.predictor.choose([model]), time.perf_counter()
        return self._explainer.explain(self._see(picture, came).canonical.image, name, digit)

    def classify(self, images: np.ndarray, models: str | Sequence[str] | None = None) -> Classified:
        """What is said of images (N, 28, 28) or (N, 1, 28, 28) uint8 in MNIST's framing, 0 background to 255 ink."""
        names, images = self.predictor.choose(models), images.reshape(-1, 1, *images.shape[-2:])
        return _classified(images, names, [self.predictor.classify(part, names) for part in parts(images)])

    # The same for an event loop. Waiting takes no thread; a call that is cancelled before its turn is not worked on.

    async def predict_async(self, data: bytes, names: list[str], explain: bool = False) -> Prediction:
        """`predict` for the bytes of an image and the chosen `names`."""
        came = time.perf_counter()
        return await self._predicted(data, names, explain, came, self._budget(came, len(data)))

    async def predict_many_async(
        self, files: Sequence[bytes], names: list[str], explain: bool = False
    ) -> list[Prediction | Error]:
        """`predict_many` for the bytes of images and the chosen `names`.

        explain: add the 28x28 image to each.
        """
        came = time.perf_counter()
        budget = self._budget(came, sum(map(len, files)))

        async def one(data: bytes) -> Prediction | Error:
            try:
                return await self._predicted(data, names, explain, came, budget)
            except InvalidImage as error:
                return Error(error=str(error), status=error.status)

        return await asyncio.gather(*map(one, files))

    async def _predicted(self, data: bytes, names: list[str], explain: bool, came: float, budget: Budget) -> Prediction:
        work = self._decoding.submit(self._see_and_submit, data, names, came, budget)
        seen, running = await asyncio.wrap_future(work)
        batch = running.result() if running.done() else await asyncio.wrap_future(running)
        return self._predict(seen, batch, names, explain)

    async def read_async(
        self,
        data: bytes,
        names: list[str],
        explain: bool = False,
        deadline: float | None = None,
        turn: bool = True,
    ) -> Text:
        """`read` for the bytes of an image and the chosen `names`."""
        work = self._reading.submit(self._read, data, names, time.perf_counter(), explain, deadline, turn)
        return await asyncio.wrap_future(work)

    async def inside_async(self, data: bytes, model: str, digit: int | None = None) -> Inside:
        """`inside` for the bytes of an image. It takes turns with pages, so that no digit waits for it."""
        return await asyncio.wrap_future(self._reading.submit(self.inside, data, model, digit))

    async def classify_async(self, images: np.ndarray, names: list[str]) -> Classified:
        """`classify` for images (N, 1, 28, 28) uint8 and the chosen `names`."""
        said = [await asyncio.wrap_future(self.predictor.submit(part, names)) for part in parts(images)]
        return _classified(images, names, said)

    # From a picture to what the models see.

    def _budget(self, came: float, size: int) -> Budget:
        """What the pictures of a request of `size` bytes may take together."""
        return Budget(SECONDS * max(1, size / 10_000_000), came + self.settings.timeout)

    def _see(self, picture: Picture, came: float, budget: Budget | None = None) -> Seen:
        begun = time.perf_counter()
        grey, reduced = self._grey(picture, budget)
        decoded = time.perf_counter()
        canonical = canonicalise(grey, self.predictor.finder)
        digits, others = (1, False) if canonical.crowd is None else count(canonical.crowd, self.predictor)
        ready = time.perf_counter()
        return Seen(
            canonical=canonical,
            reduced=reduced,
            digits=digits,
            others=others,
            came=came,
            begun=begun,
            decoded=decoded,
            ready=ready,
        )

    def _grey(self, picture: Picture, budget: Budget | None = None) -> tuple[np.ndarray, float]:
        """The grey picture (H, W) uint8, upright and reduced, and the pixels of the upload per pixel of it."""
        if isinstance(picture, np.ndarray) and picture.ndim == 2 and picture.dtype == np.uint8 and picture.size:
            return picture, 1.0
        return grey_from_upload(_bytes_of(picture), self.settings.max_pixels, self.settings.formats, budget)

    def _try(self, picture: Picture, came: float) -> Seen | Error:
        try:
            return self._see(picture, came)
        except InvalidImage as error:
            return Error(error=str(error), status=error.status)

    def _see_and_submit(self, data: bytes, names: list[str], came: float, budget: Budget) -> tuple[Seen, Future[Batch]]:
        seen = self._see(data, came, budget)
        return seen, self.predictor.submit(seen.images, names)

    # From what the models say to an answer.

    def _predict(self, seen: Seen, batch: Batch, names: list[str], explain: bool = False) -> Prediction:
        """batch: what is said about the image alone."""
        (verdict,) = batch.verdicts
        reason = self._reason(seen, verdict)
        given: dict[str, Any] = {}
        if verdict.is_digit is not None:
            given["is_digit"] = round(verdict.is_digit, DECIMALS)
        if explain:
            ink = seen.canonical.ink
            shown = None if ink is None else data_url(ink)
            given["explain"] = Explanation(image=data_url(seen.canonical.image), ink=shown)
        waited = (seen.begun - seen.came) + max(batch.started - seen.ready, 0)
        return Prediction(
            digit=verdict.digit,
            confidence=round(verdict.confidence, DECIMALS),
            accepted=reason is None,
            reason=reason,
            note=_note(reason, seen.digits),
            digits_seen=seen.digits,
            agreement=verdict.agreement,
            models=[_model_answer(name, batch.by_name[name], seen) for name in names],
            timing_ms=Timing(
                decode=_ms(seen.decoded - seen.begun),
                canonicalise=_ms(seen.ready - seen.decoded),
                queue=_ms(waited),
                inference=round(batch.inference_ms, 3),
                total=_ms(time.perf_counter() - seen.came),
            ),
            device=self.predictor.device,
            **given,
        )

    @staticmethod
    def _reason(seen: Seen, verdict: Verdict) -> Reason | None:
        """Why an image is not accepted as one digit; None if it is."""
        if seen.digits != 1:
            return "several_digits"
        if seen.others:
            return "other_marks"
        if not seen.canonical.is_sure:
            return "faint"
        return verdict.reason

    def _read(
        self, picture: Picture, names: list[str], came: float, explain: bool, deadline: float | None, turn: bool
    ) -> Text:
        begun = time.perf_counter()
        if deadline is not None and begun > deadline:
            raise OutOfTime  # it waited that long for its thread
        grey, reduced = self._grey(picture, Budget(deadline=deadline))
        decoded = time.perf_counter()
        page = read(grey, self.predictor, self.predictor.finder, names, deadline, turn)
        finished = time.perf_counter()
        timing = ReadTiming(
            decode=_ms(decoded - begun), read=_ms(finished - decoded), total=_ms(time.perf_counter() - came)
        )
        digits = [mark for mark in page.marks if mark.is_digit]
        accepted = [mark for mark in digits if mark.accepted]
        sure = sum(mark.confidence >= SURE for mark in accepted)
        return Text(
            text=page.text,
            transcript=page.transcript,
            note=page.note,
            numbers=[
                Number(number="".join(mark.sign for mark in one), box=_box(around(one), reduced), line=one[0].line)
                for one in page.numbers
            ],
            marks=[
                Mark(
                    mark="other" if mark.sign == OTHER else mark.sign,
                    confidence=round(mark.confidence, DECIMALS),
                    accepted=mark.accepted,
                    box=_box(mark.box, reduced),
                    line=mark.line,
                )
                for mark in page.marks
            ],
            digits=[
                PageDigit(
                    digit=int(mark.sign),
                    confidence=round(mark.confidence, DECIMALS),
                    accepted=mark.accepted,
                    reason=mark.reason,
                    box=_box(mark.box, reduced),
                    line=mark.line,
                    **({"image": data_url(mark.image)} if explain and mark.image is not None else {}),
                )
                for mark in digits
            ],
            digits_seen=len(accepted),
            is_number=bool(accepted) and 2 * sure >= len(accepted),
            turned=page.turned,
            timing_ms=timing,
            device=self.predictor.device,
        )


def _bytes_of(picture: Picture) -> bytes:
    """The bytes of an image file. What is in memory becomes a PNG, so that all pictures go one way."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | Path):
        return Path(picture).read_bytes()
    try:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        file = BytesIO()
        image.save(file, "PNG", compress_level=1)
    except (TypeError, ValueError, OSError, AttributeError) as error:
        is_array = isinstance(picture, np.ndarray)
        found = f"an array of {picture.dtype} of shape {picture.shape}" if is_array else type(picture).__name__
        raise InvalidImage(f"The picture is {found}; give bytes, a path, a uint8 array or Pillow's Image.") from error
    return file.getvalue()


def _note(reason: Reason | None, digits: int) -> str | None:
    if reason == "several_digits":
        return f"The image holds {digits} digits; send it to /read, which reads them all."
    return None if reason is None else NOTES[reason]


def _model_answer(name: str, output: Output, seen: Seen) -> ModelAnswer:
    probabilities = output.probabilities[0]
    given: dict[str, Any] = {}
    if output.boxes is not None:
        given["box"] = _box(seen.canonical.to_picture(output.boxes[0]), seen.reduced)
    return ModelAnswer(
        name=name,
        digit=int(probabilities.argmax()),
        confidence=round(float(probabilities.max()), DECIMALS),
        probabilities=[round(value, DECIMALS) for value in probabilities.tolist()],
        latency_ms=round(output.milliseconds, 3),
        **given,
    )


def _box(box: Sequence[float], reduced: float) -> list[float]:
    """A box in pixels of the upload; reduced: these per pixel of the picture in which it is."""
    return [round(value * reduced, 1) for value in box]


def _classified(images: np.ndarray, names: list[str], said: list[Batch]) -> Classified:
    """Put together what was said of images (N, 1, 28, 28) in parts."""
    verdicts = [verdict for batch in said for verdict in batch.verdicts]
    written = images.reshape(len(images), -1).max(1) > 0
    return Classified(
        verdicts=[v if ink else replace(v, reason="no_ink") for v, ink in zip(verdicts, written, strict=True)],
        mean=np.concatenate([batch.mean for batch in said]),
        probabilities={name: np.concatenate([batch.by_name[name].probabilities for batch in said]) for name in names},
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)
