"""What all routes share: the models, the settings, and slots that limit how many threads run at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from anyio import CapacityLimiter
from fastapi import Request

from ..inference.batcher import Batcher
from ..inference.predictor import Predictor
from ..settings import Settings

Observer = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Serving:
    batcher: Batcher
    settings: Settings
    decoding: CapacityLimiter  # slots for threads that decode an upload with one digit
    reading: CapacityLimiter  # slots for threads that read a page
    observe: Observer | None  # called with each answer

    @classmethod
    def with_slots(cls, predictor: Predictor, settings: Settings, observe: Observer | None) -> Self:
        """Choose the numbers of slots by the number of threads in `settings`.

        A decoded image is many times as large as its upload, so each thread decodes only one at a time. One more slot
        lets a request wait for the models; without it no batch would form while they are busy. Pages take a hundred
        times as long as single digits, so they have their own slots, and leave half the threads free.
        """
        return cls(
            batcher=Batcher(predictor),
            settings=settings,
            decoding=CapacityLimiter(settings.threads + 1),
            reading=CapacityLimiter(max(1, settings.threads // 2)),
            observe=observe,
        )

    @property
    def predictor(self) -> Predictor:
        return self.batcher.predictor


def serving_of(request: Request) -> Serving:
    """The `Serving` of the application that received this request."""
    return request.app.state.serving
