"""What all routes share: the object that reads, and who is told of each answer."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from ..answers import Prediction, Text
from ..recogniser import Recogniser

Observer = Callable[[Prediction | Text], None]


@dataclass(frozen=True, kw_only=True)
class Serving:
    recogniser: Recogniser
    observe: Observer | None  # called with each answer


def serving_of(request: Request) -> Serving:
    """The `Serving` of the application that received this request."""
    return request.app.state.serving
