"""Metrics beyond BentoML's own: the time of each stage, the answers, and the requests that wait."""

from functools import cached_property
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..answers import Prediction, Text
from ..inference.predictor import Output, Predictor

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BYTES = tuple(float(4**power) for power in range(4, 13))  # 256 B to 16 MiB

# prometheus_client is imported where it is used, because BentoML sets the folder that its workers share only after this
# module is imported.


class Metrics:
    """Prometheus metrics of one worker. /metrics adds up all workers; BentoML's own metrics count errors by status."""

    def __init__(self, predictor: Predictor) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        stage = Histogram(
            "quintet_stage_seconds",
            "Time of one image before the models: decode, canonicalise, queue",
            ["stage"],
            buckets=SECONDS,
        )
        self.stages = {name: stage.labels(name) for name in ("decode", "canonicalise", "queue")}
        inference = Histogram(
            "quintet_inference_seconds", "Time of one model for one batch", ["model"], buckets=SECONDS
        )
        self.inference = {name: inference.labels(name) for name in predictor.names}
        self.batch = Histogram("quintet_batch_images", "Images in one batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
        images = Counter("quintet_images", "Images answered, by whether they were accepted as a digit", ["accepted"])
        self.images = {True: images.labels("true"), False: images.labels("false")}
        self.confidence = Histogram(
            "quintet_confidence_ratio",
            "Confidence of an image's answer, 0 to 1",
            buckets=(0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999),
        )
        self.agreement = Histogram(
            "quintet_agreement_models",
            "Models that agree with the answer for an image",
            buckets=range(len(predictor.names) + 1),
        )
        pages = Counter(
            "quintet_pages", "Pages of /read: every mark accepted as a digit, some of them, or none", ["accepted"]
        )
        self.pages = {name: pages.labels(name) for name in ("all", "some", "none")}
        info = Gauge(
            "quintet_model_info",
            "1 for each served model, its file and where it runs",
            ["model", "sha256", "device"],
            multiprocess_mode="livemax",
        )
        for name, artefact in predictor.artefacts.items():
            info.labels(name, artefact.sha256, artefact.device).set(1)

    def ran(self, by_name: dict[str, Output]) -> None:
        """Count a batch that the models have run."""
        for name, answer in by_name.items():
            self.inference[name].observe(answer.milliseconds / 1e3)
        self.batch.observe(max(len(answer.probabilities) for answer in by_name.values()))

    def answered(self, answer: Prediction | Text) -> None:
        """Count the answer for an image or for a page."""
        if isinstance(answer, Text):
            accepted = {mark.accepted for mark in answer.digits}
            self.pages["some" if len(accepted) == 2 else "all" if True in accepted else "none"].inc()
            return
        for name, stage in self.stages.items():
            stage.observe(getattr(answer.timing_ms, name) / 1e3)
        self.images[answer.accepted].inc()
        self.confidence.observe(answer.confidence)
        self.agreement.observe(answer.agreement)


class Traffic:
    """ASGI middleware that counts the requests with a body that are not answered yet, and measures their sizes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @cached_property
    def _inside(self) -> Any:
        from prometheus_client import Gauge

        return Gauge("quintet_requests_waiting", "Requests not answered yet", multiprocess_mode="livesum")

    @cached_property
    def _bytes(self) -> Any:
        from prometheus_client import Histogram

        return Histogram("quintet_request_bytes", "Bytes of a request's body, as far as it was read", buckets=BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        size = 0

        async def count() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            return message

        self._inside.inc()
        try:
            await self.app(scope, count, send)
        finally:
            self._inside.dec()
            self._bytes.observe(size)
