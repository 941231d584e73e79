"""OpenTelemetry traces: a span for each request, and a span inside it for each stage.

The spans are created after the answer, from the recorded times, and OpenTelemetry's own thread exports them. Its
environment variables (OTEL_*) set the address, the service's name and the sampling:
https://opentelemetry.io/docs/specs/otel/

This module is imported only if traces are enabled. It needs the extra `tracing`.
"""

import os
import time
from functools import cached_property

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from .. import __version__
from ..timeline import Stage
from .requests import Record

TRACED = "POST"  # the method of all routes that read images


class Traces:
    """Listens to `Requests`."""

    @cached_property
    def _tracer(self) -> Tracer:
        """Created with the first span, because the supervisor imports this module too and needs no export thread."""
        about = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "quintet", "service.version": __version__}
        provider = TracerProvider(resource=Resource.create(about))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return provider.get_tracer("quintet", __version__)

    def __call__(self, record: Record) -> None:
        if record.method != TRACED:
            return
        parent = propagate.extract(record.headers)  # the request's traceparent
        began = time.time_ns() - time.perf_counter_ns()  # the time when time.perf_counter was 0
        span = self._tracer.start_span(
            f"{record.method} {record.route}",
            parent,
            SpanKind.SERVER,
            {
                "http.request.method": record.method,
                "http.route": record.route,
                "http.response.status_code": record.status,
                "quintet.request_id": record.id,
            },
            start_time=began + _nanoseconds(record.started),
        )
        if span.is_recording():
            if record.status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            inside = set_span_in_context(span, parent)
            upload = [Stage("upload", record.started, record.arrived)] if record.arrived else []
            for stage in upload + record.stages:
                started = began + _nanoseconds(stage.started)
                self._tracer.start_span(stage.name, inside, start_time=started).end(
                    began + _nanoseconds(stage.finished)
                )
        span.end(began + _nanoseconds(record.finished))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
