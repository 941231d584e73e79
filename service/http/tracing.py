"""OpenTelemetry traces: a span for each request that reads images, and a span inside it for each step.

The spans are made after the answer, from the times that it tells, and OpenTelemetry's own thread exports them. Its
environment variables (OTEL_*) set the address, the service's name and the sampling:
https://opentelemetry.io/docs/specs/otel/

This module is imported only if traces are enabled. It needs the extra `tracing`.
"""

import os
import time
from collections.abc import Iterator
from functools import cached_property

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from .. import __version__
from ..answers import Error, Prediction, Text
from .observability import WORK, Exchange


class Traces:
    """Listens to `Observer`."""

    @cached_property
    def _tracer(self) -> Tracer:
        """Created with the first span, because the supervisor imports this module too and needs no export thread."""
        about = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "quintet", "service.version": __version__}
        provider = TracerProvider(resource=Resource.create(about))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return provider.get_tracer("quintet", __version__)

    def __call__(self, exchange: Exchange) -> None:
        if exchange.method != WORK:
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers.items()}
        parent = propagate.extract(headers)  # the request's traceparent
        began = time.time_ns() - time.perf_counter_ns()  # the time when time.perf_counter was 0
        span = self._tracer.start_span(
            f"{exchange.method} {exchange.route}",
            parent,
            SpanKind.SERVER,
            {
                "http.request.method": exchange.method,
                "http.route": exchange.route,
                "http.response.status_code": exchange.status,
                "quintet.request_id": exchange.id.decode(),
            },
            start_time=began + _nanoseconds(exchange.started),
        )
        if span.is_recording():
            if exchange.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            inside = set_span_in_context(span, parent)
            at = exchange.started
            for name, seconds in _steps(exchange):
                step = self._tracer.start_span(name, inside, start_time=began + _nanoseconds(at))
                at += seconds
                step.end(began + _nanoseconds(at))
        span.end(began + _nanoseconds(exchange.finished))


def _steps(exchange: Exchange) -> Iterator[tuple[str, float]]:
    """The steps of a request that reads one image, one after another, with their seconds."""
    if exchange.arrived:
        yield "upload", exchange.arrived - exchange.started
    if len(exchange.answers) != 1:
        return
    match exchange.answers[0]:
        case Prediction(timing_ms=times, models=models):
            yield from (("decode", times.decode / 1e3), ("canonicalise", times.canonicalise / 1e3))
            yield "queue", times.queue / 1e3
            yield from ((model.name, model.latency_ms / 1e3) for model in models)
        case Text(timing_ms=times):
            yield from (("decode", times.decode / 1e3), ("read", times.read / 1e3))
        case Error():
            pass


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
