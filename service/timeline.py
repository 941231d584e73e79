"""When the stages of a request took place, for traces.

The code that does the work marks each stage. Nothing is kept unless `stages` was set to a list for the request; threads
that work for it see the same list.
"""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    started: float  # seconds, by time.perf_counter
    finished: float


stages: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)


def mark(name: str, started: float, finished: float) -> None:
    """A stage is over; times are seconds by time.perf_counter."""
    found = stages.get()
    if found is not None:
        found.append(Stage(name, started, finished))
