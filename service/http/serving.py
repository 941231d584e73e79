"""What every route answers with: the models, the settings, and the slots that limit how much runs at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from anyio import CapacityLimiter
from fastapi import Request

from service.inference.batcher import Batcher
from service.inference.predictor import Predictor
from service.settings import Settings

Observer = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Serving:
    batcher: Batcher
    settings: Settings
    decoding: CapacityLimiter  # slots for threads that decode an upload with one digit
    reading: CapacityLimiter  # slots for threads that read a page
    observe: Observer | None

    @classmethod
    def with_slots(cls, predictor: Predictor, settings: Settings, observe: Observer | None) -> Self:
        """Slots for the number of threads in `settings`.

        A decoded image is many times as large as its upload, so only as many are decoded at once as there are cores.
        One more may wait for the models: without it no batch would form while they are busy. Pages take a hundred
        times as long as single digits, so they have slots of their own, and half the cores stay free of them.
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
    """What the application that got this request answers with."""
    return request.app.state.serving
