"""Metrics for Prometheus, added up over all workers of the server.

The numbers are in memory that all workers share: a row for each worker, in which each number of each metric has its
place. prometheus_client keeps a file for each worker instead. A full disk then ended workers, without a word in the
log, because a write into a mapped file that finds no room is a SIGBUS; and where somebody cleaned /tmp, /metrics failed
for good. What is used of prometheus_client is the format: `Metrics` is a collector of its own,
https://prometheus.github.io/client_python/collector/custom/
"""

import logging
import mmap
import os
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from itertools import accumulate, product
from typing import Any

import numpy as np

from ..answers import Error, Prediction, Text
from ..inference.artefact import Artefact
from ..inference.predictor import Output

logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BYTES = tuple(4**power for power in range(4, 14))  # 256 B to 64 MiB
STATUSES = (200, 206, 304, 307, 400, 401, 404, 405, 408, 413, 415, 416, 422, 429, 499, 500, 503, 504)
STAGES = "decode", "canonicalise", "queue"  # of an image before the models, as its answer names them
UNMATCHED = "unmatched"  # the route of a request whose path is not served
SLOTS = 4_096  # numbers in a worker's row; five models need 1,300
INFINITY = "+Inf"
Row = MutableSequence[float]


def share(workers: int) -> int | None:
    """The file descriptor of memory for all workers, which they inherit; None if it cannot be had, which is logged."""
    try:
        descriptor = os.memfd_create("quintet-metrics")
        os.posix_fallocate(descriptor, 0, workers * SLOTS * 8)  # now, so that no later write can fail
    except (AttributeError, OSError) as error:  # only Linux has it
        if workers > 1:
            logger.warning("/metrics shows one worker instead of the sum of all: %s", error)
        return None
    os.set_inheritable(descriptor, True)
    return descriptor


def rows(descriptor: int | None, worker: int) -> tuple[np.ndarray, int]:
    """The rows of all workers, (workers, SLOTS) float64, from `share`, and the number of this worker's.

    None: those of a worker by itself.
    """
    if descriptor is None:
        return np.zeros((1, SLOTS)), 0
    memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
    whole = np.frombuffer(memory, np.float64).reshape(-1, SLOTS)
    return whole, worker % len(whole)


class Family:
    """A metric: its numbers for each combination of its labels' values."""

    place: slice  # in a worker's row, as `Metrics` gives it
    row: Row  # that part of this worker's

    def __init__(
        self, kind: str, name: str, about: str, bounds: Iterable[float] = (), sparse: bool = False, **labels: Any
    ) -> None:
        """kind: "counter", "gauge" or "histogram"; bounds: of a histogram; sparse: numbers that are 0 are not shown."""
        self.kind, self.name, self.about, self.sparse, self.labels = kind, name, about, sparse, list(labels)
        self.bounds = tuple(map(float, bounds))
        # Of a histogram: a count for each bound and for what is above all, and the sum.
        self.width = len(self.bounds) + 2 if kind == "histogram" else 1
        self.at = {key: number * self.width for number, key in enumerate(product(*labels.values()))}
        self.size = self.width * len(self.at)

    def add(self, *key: Any, amount: float = 1.0) -> None:
        self.row[self.at[key]] += amount

    def observe(self, amount: float, *key: Any) -> None:
        first = self.at[key]
        self.row[first + bisect_left(self.bounds, amount)] += 1
        self.row[first + self.width - 1] += amount

    def shown(self, total: np.ndarray) -> Any:
        from prometheus_client import core

        family: Any = getattr(core, f"{self.kind.capitalize()}MetricFamily")(self.name, self.about, labels=self.labels)
        names = [*map(str, self.bounds), INFINITY]
        for key, first in self.at.items():
            *counts, amount = total[first : first + self.width].tolist()
            buckets = [list(zip(names, accumulate(counts), strict=True))] if counts else []
            if amount or any(counts) or not self.sparse:
                family.add_metric(list(map(str, key)), *buckets, amount)
        return family


class Metrics:
    """All metrics of one worker, and of the others in what `page` shows. Each number is written by one thread."""

    def __init__(
        self,
        artefacts: Mapping[str, Artefact],
        routes: Iterable[str],
        shared: tuple[np.ndarray, int] | None = None,
    ) -> None:
        """routes: the paths that requests are counted by; shared: from `rows`."""
        names, routes = list(artefacts), [*routes, UNMATCHED]
        self.artefacts = artefacts
        self.requests = Family(
            "counter",
            "quintet_requests",
            "Requests answered, by matched route and status",
            sparse=True,
            route=routes,
            status=(*STATUSES, "other"),
        )
        self.latency = Family(
            "histogram",
            "quintet_request_seconds",
            "Time from a request's complete body to the end of its answer",
            SECONDS,
            sparse=True,
            route=routes,
        )
        self.waiting = Family("gauge", "quintet_requests_waiting", "Requests with a body that are not answered yet")
        self.bytes = Family(
            "histogram", "quintet_request_bytes", "Bytes of a request's body, as far as it was read", BYTES
        )
        self.stages = Family(
            "histogram",
            "quintet_stage_seconds",
            "Time of one image before the models: decode, canonicalise, queue",
            SECONDS,
            stage=STAGES,
        )
        self.inference = Family(
            "histogram", "quintet_inference_seconds", "Time of one model for one batch", SECONDS, model=names
        )
        self.batch = Family("histogram", "quintet_batch_images", "Images in one batch", (1, 2, 4, 8, 16, 32, 64, 128))
        self.images = Family(
            "counter",
            "quintet_images",
            "Images answered, by whether they were accepted as a digit",
            accepted=("true", "false"),
        )
        self.confidence = Family(
            "histogram",
            "quintet_confidence_ratio",
            "Confidence of an image's answer, 0 to 1",
            (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999),
        )
        self.agreement = Family(
            "histogram",
            "quintet_agreement_models",
            "Models that agree with the answer for an image",
            range(len(names) + 1),
        )
        self.pages = Family(
            "counter",
            "quintet_pages",
            "Pages of /read: every mark accepted as a digit, some of them, or none",
            accepted=("all", "some", "none"),
        )
        self.families = [value for value in vars(self).values() if isinstance(value, Family)]
        self.rows = self._place(*(shared or rows(None, 0)))

    def _place(self, whole: np.ndarray, worker: int) -> np.ndarray:
        """Give each number its place. The first tells which metrics they are: files of other models need others."""
        mark = zlib.crc32(repr([(family.name, family.size) for family in self.families]).encode())
        needed = 1 + sum(family.size for family in self.families)
        if needed > whole.shape[1] or set(whole[:, 0]) - {0.0, float(mark)}:
            logger.warning("/metrics shows this worker alone: the others serve other models, or too many are served.")
            whole, worker = np.zeros((1, needed)), 0
        row: Row = memoryview(whole[worker])  # pyright: ignore[reportAssignmentType] # of float64
        first = 1
        for family in self.families:
            family.place = slice(first, first := first + family.size)
            family.row = row[family.place]
        row[0] = mark
        self.waiting.row[0] = 0.0  # of a worker before this one
        return whole

    def took(self, route: str, status: int, seconds: float, size: int | None) -> None:
        """Count a request. size: bytes of its body; None for a request without one."""
        route = route if (route,) in self.latency.at else UNMATCHED
        self.requests.add(route, status if status in STATUSES else "other")
        self.latency.observe(seconds, route)
        if size is not None:
            self.bytes.observe(size)

    def ran(self, by_name: Mapping[str, Output]) -> None:
        """Count a batch that the models have run."""
        for name, output in by_name.items():
            self.inference.observe(output.milliseconds / 1e3, name)
        self.batch.observe(max(len(output.probabilities) for output in by_name.values()))

    def answered(self, answer: Prediction | Text | Error) -> None:
        """Count the answer for an image or for a page."""
        if isinstance(answer, Text):
            accepted = {mark.accepted for mark in answer.digits}
            self.pages.add("some" if len(accepted) == 2 else "all" if True in accepted else "none")
        elif isinstance(answer, Prediction):
            for stage in STAGES:
                self.stages.observe(getattr(answer.timing_ms, stage) / 1e3, stage)
            self.images.add("true" if answer.accepted else "false")
            self.confidence.observe(answer.confidence)
            self.agreement.observe(answer.agreement)

    def collect(self) -> Iterator[Any]:
        """The metrics as prometheus_client's registry wants them."""
        from prometheus_client.core import GaugeMetricFamily

        total = self.rows.sum(0)
        for family in self.families:
            yield family.shown(total[family.place])
        info = GaugeMetricFamily(
            "quintet_model_info",
            "1 for each served model, its file and where it runs",
            labels=["model", "sha256", "device"],
        )
        for name, artefact in self.artefacts.items():
            info.add_metric([name, artefact.sha256, artefact.device], 1)
        yield info

    def page(self) -> tuple[bytes, str]:
        """What /metrics answers, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType] # it wants a base class, its docs a method
        return generate_latest(registry), CONTENT_TYPE_LATEST
