"""The BentoML service: BentoML starts the workers, watches them and builds the image; requests go to our application.

bentoml serve service.bento:Quintet
"""

import gc
import logging
import os
import sys
from typing import Any, ClassVar, cast

import bentoml
from starlette.types import ASGIApp, Receive, Scope, Send

from . import lifecycle
from . import settings as environment
from .http import observability, protocol
from .http.app import create_app
from .http.pages import EXAMPLES
from .inference.consensus import load_consensus
from .inference.device import choose_device
from .picture import isolation
from .recogniser import Recogniser

ENDPOINTS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"  # either one asks for traces

SWITCH = 0.0005  # seconds; with Python's .005, 64 connections got a quarter fewer answers

protocol.install()
for name in ("uvicorn.access", "uvicorn.error", "circus"):  # their lines stood in the log twice, as the root's too
    logging.getLogger(name).propagate = False


def watch(settings: environment.Settings) -> list[observability.Listener]:
    """What is told of each request: the log, traces, or nothing. Raises ValueError if a package is missing."""
    listeners: list[observability.Listener] = []
    if settings.log == "json":
        observability.use_json()
    if settings.log == "json" or settings.access_log:
        listeners.append(observability.log_request)
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is not None:
        try:
            from .http.tracing import Traces
        except ImportError as error:
            raise ValueError(f"{named} is set, but the exporter is missing; install the extra `tracing`.") from error
        listeners.append(Traces())
    return listeners


try:
    lifecycle.check_command()
    settings = environment.load()
    listeners = watch(settings)
    # Here too, where `bentoml serve` can still stop: a worker that fails would be started again without end.
    load_consensus(settings.models)
    choose_device(settings.device)
except (ValueError, RuntimeError) as error:
    lifecycle.give_up(error)
lifecycle.supervise(settings.workers)


class Application:
    """ASGI middleware of BentoML's that answers every request itself. BentoML's own routes would know no API key."""

    answer: ClassVar[ASGIApp]  # of this worker, once its models are loaded

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await Application.answer(scope, receive, send)


@bentoml.service(
    name="quintet",
    workers=settings.workers,
    metrics={"enabled": False},  # ours count by matched route, in memory
    logging={"access": {"enabled": False}},  # it prints whatever path a client sends
    tracing={"excluded_urls": "."},  # all of them
    traffic={"timeout": settings.upload_timeout + settings.timeout + 10},  # the gate's limits come first
)
class Quintet:
    def __init__(self) -> None:
        # A worker thread waits this long for the interpreter's lock after each batch.
        sys.setswitchinterval(SWITCH)
        worker = (bentoml.server_context.worker_index or 1) - 1
        isolation.shared().start()  # the process that decodes pictures gets ready while the models are loaded
        try:
            recogniser = Recogniser(settings=settings, worker=worker)
        except RuntimeError as error:
            lifecycle.give_up(error)
        # The first picture loads decoders and parts of OpenCV; no client should wait for that, and no metric count it.
        recogniser.predict(EXAMPLES / "seven.png")
        self.health = lifecycle.health()
        Application.answer = create_app(recogniser, self.health, listeners, lifecycle.shared_metrics(worker))
        # What is loaded by now stays; looking through it for garbage again and again would stop all answers for .1 s.
        gc.collect()
        gc.freeze()

    @bentoml.on_startup
    async def end_gently(self) -> None:
        lifecycle.end_gently(self.health, settings.drain)


# The cast: BentoML's annotation wants a class of its own.
Quintet.add_asgi_middleware(cast(Any, Application))
