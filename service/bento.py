"""The BentoML service: it owns workers, GPU, health and metrics, and mounts the HTTP application.

bentoml serve service.bento:Quintet
"""

import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, cast

import bentoml
import numpy as np
from bentoml.validators import DType, Shape
from fastapi import FastAPI
from pydantic import BeforeValidator, Field
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from . import lifecycle
from . import settings as environment
from .http import logs, protocol
from .http.app import create_app
from .http.classify import NativeEndpoint, digit_images, is_fault
from .http.gate import Gate
from .http.known_paths import KnownPaths
from .http.observability import Metrics, Traffic
from .http.pages import EXAMPLES
from .http.requests import Listener, Requests
from .inference.consensus import load_consensus
from .inference.device import DeviceLost, choose_device
from .picture import isolation
from .recogniser import Recogniser

ENDPOINTS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"  # either one asks for traces

SWITCH = 0.0005  # seconds; with Python's .005, 64 connections got a quarter fewer answers

protocol.install()
logging.getLogger("bentoml._internal.server.http_app").addFilter(is_fault)
logging.getLogger("uvicorn.access").propagate = False  # else the parts of a line that nobody shows are gathered


def watch(settings: environment.Settings) -> list[Listener]:
    """What is told of each request: a log of JSON, traces, or nothing. Raises ValueError if a package is missing."""
    listeners: list[Listener] = []
    if settings.log == "json":
        logs.use_json()
        listeners.append(logs.log_request)
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is not None:
        try:
            from .http.tracing import Traces
        except ImportError as error:
            raise ValueError(f"{named} is set, but the exporter is missing; install the extra `tracing`.") from error
        listeners.append(Traces())
    return listeners


try:
    lifecycle.prepare()
    settings = environment.load()
    listeners = watch(settings)
    # Here too, where `bentoml serve` can still stop: a worker that fails would be started again without end.
    load_consensus(settings.models)
    choose_device(settings.device)
except (ValueError, RuntimeError) as error:
    lifecycle.give_up(error)


def application() -> FastAPI:
    """The HTTP application of this worker, once BentoML has made its service."""
    return bentoml.get_current_service().app


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    await application()(scope, receive, send)


@bentoml.service(
    name="quintet",
    workers=settings.workers,
    logging={  # a content type that is not ASCII makes it fail
        "access": {"enabled": settings.access_log and settings.log == "text", "request_content_type": False}
    },
    tracing={"excluded_urls": "."},  # all of them: docs/operations.md has what it costs
    traffic={"timeout": settings.upload_timeout + settings.timeout + 10},  # the gate's limits come first
)
@bentoml.asgi_app(mounted, path="/")
class Quintet:
    def __init__(self) -> None:
        # The thread that ran a batch waits so long for the interpreter's lock while other requests are worked on.
        sys.setswitchinterval(SWITCH)
        worker = (bentoml.server_context.worker_index or 1) - 1
        isolation.shared().start()  # the processes that decode pictures get ready while the models are loaded
        try:
            self.recogniser = Recogniser(settings=settings, worker=worker)
        except RuntimeError as error:
            lifecycle.give_up(error)
        metrics = Metrics(self.recogniser.predictor)
        self.recogniser.predictor.observe = metrics.ran
        self.health = lifecycle.Health()
        self.app = create_app(self.recogniser, metrics.answered, self.health.fail)
        self.app.state.health = self.health
        # The first picture loads decoders and parts of OpenCV; no client should wait for that.
        self.recogniser.predict(EXAMPLES / "seven.png")
        # What is loaded by now stays; looking through it for garbage again and again would stop all answers for .1 s.
        gc.collect()
        gc.freeze()

    @bentoml.on_startup
    async def end_gently(self) -> None:
        self.health.end_gently(settings.drain)

    async def __is_ready__(self) -> bool:
        """BentoML answers /readyz with it."""
        return self.health.is_ready

    @bentoml.api(route="/classify")
    async def classify(
        self,
        images: Annotated[
            np.ndarray,
            DType("uint8"),
            Shape((-1, 28, 28)),
            BeforeValidator(digit_images),
            Field(description="28x28 images in MNIST's framing, 0 background to 255 ink"),
        ],
    ) -> dict[str, list[list[float]]]:
        """Each model's probabilities (N, 10) for images (N, 28, 28) uint8."""
        try:
            said = await self.recogniser.classify_async(images[:, None], self.recogniser.names)
        except DeviceLost:
            self.health.fail()
            raise
        return {name: probabilities.tolist() for name, probabilities in said.probabilities.items()}


def add_middleware(kind: Callable[..., ASGIApp], **options: Any) -> None:
    """Put an ASGI middleware inside those that were added before it; it is made as `kind(app, **options)`.

    The cast: BentoML's annotation knows only middlewares without options, but BentoML passes the options on.
    """
    Quintet.add_asgi_middleware(cast(Any, kind), **options)


add_middleware(KnownPaths, mounted=application)
add_middleware(Requests, listeners=listeners)
if settings.cors_origins:
    origins, methods = settings.cors_origins, ["GET", "POST"]
    add_middleware(CORSMiddleware, allow_origins=origins, allow_methods=methods, allow_headers=["*"])
add_middleware(Traffic)
add_middleware(Gate, settings=settings)
add_middleware(NativeEndpoint, path="/classify", max_bytes=settings.max_bytes, max_images=settings.max_images)
