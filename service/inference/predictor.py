"""Load all models once, and run them in one thread: what waits when they are free is the next batch.

Two runs at the same time on the same cores or GPU only slow each other down. So every run is a job for one thread, the
device's, in the order in which jobs came. Images for the same models that wait together run together; no timer is
needed. A job that finds the models idle is run at once by the thread that brings it.
"""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime

from .artefact import JUDGE, LINE, open_artefact, open_finder, open_helper
from .consensus import Calibration, Verdict, load_consensus
from .cuda import FixedShapes
from .device import LARGEST, SIZES, CudaUnusable, DeviceLost, choose_device, gpu_of, reason_of

logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it
Result = TypeVar("Result")


class UnknownModel(ValueError):
    """The request names a model that is not served; the message lists those that are."""

    status = 404  # of the HTTP answer


@dataclass(frozen=True, kw_only=True)
class Output:
    """What one model says about N images."""

    probabilities: np.ndarray  # (N, 10) float32
    milliseconds: float  # in onnxruntime, for the whole batch
    boxes: np.ndarray | None = None  # (N, 4) float32, detectors only: the best box, in pixels of the 28x28 image

    def part(self, rows: slice) -> "Output":
        boxes = None if self.boxes is None else self.boxes[rows]
        return Output(probabilities=self.probabilities[rows], milliseconds=self.milliseconds, boxes=boxes)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What all chosen models say about the N images that ran together, or about some of them."""

    by_name: dict[str, Output]
    mean: np.ndarray  # (N, 10) float64, their calibrated mean
    verdicts: list[Verdict]  # one for each image
    inference_ms: float  # the chosen models, one after another, for all that ran together
    started: float  # by time.perf_counter

    def part(self, first: int, count: int) -> "Batch":
        """What is said about `count` images from `first` on."""
        if count == len(self.verdicts):
            return self
        rows = slice(first, first + count)
        by_name = {name: output.part(rows) for name, output in self.by_name.items()}
        return replace(self, by_name=by_name, mean=self.mean[rows], verdicts=self.verdicts[rows])


@dataclass(eq=False, kw_only=True)
class Job:
    """Work for the device's thread: images to classify, or anything else that needs the device."""

    future: Future
    images: np.ndarray | None = None  # (N, 1, 28, 28) uint8
    names: tuple[str, ...] = ()
    work: Callable[[], Any] | None = None


@dataclass
class Jobs:
    """The jobs that wait, and the lock that is held while the models run."""

    ready: threading.Condition = field(default_factory=threading.Condition)
    waiting: deque[Job] = field(default_factory=deque)
    running: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False


class Predictor:
    def __init__(self, models: Path, device: str, threads: int, worker: int = 0) -> None:
        """Load the models that consensus.json lists, on "auto", "cpu" or "cuda".

        worker: the number of this process, from 0; workers take the GPUs in turn.
        Raises UnusableArtefact for a missing or damaged file, RuntimeError if CUDA is requested and does not load.
        """
        self.consensus = load_consensus(models)
        self.device = choose_device(device)
        self.gpu = gpu_of(worker) if self.device == "cuda" else 0
        self.fixed: FixedShapes | None = None  # on a GPU, sessions for the shapes of nearly all runs
        # Without this, onnxruntime keeps the memory of its largest page, up to 300 MB.
        self._giving_back = onnxruntime.RunOptions()
        self._giving_back.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.observe: Callable[[dict[str, Output]], None] | None = None  # called after each batch
        self._jobs = Jobs()
        self.thread = threading.Thread(target=_serve, args=(weakref.ref(self), self._jobs), name="device", daemon=True)
        weakref.finalize(self, _close, self._jobs)
        self.thread.start()
        try:
            self._open(models, threads)
        except CudaUnusable as error:
            if device == "cuda":
                raise
            logger.warning("CUDA was found but cannot run the models, so they run on the CPU: %s", error)
            self.device = "cpu"
            self._open(models, threads)

    def _open(self, models: Path, threads: int) -> None:
        """Load and warm up everything on `self.device`."""
        self.finder = open_finder(models / "ink.onnx", threads)  # too small to be worth a copy to a GPU
        self.reader = open_helper(models / f"{LINE}.onnx", threads, "lines", "log_probabilities")  # on the CPU too
        # Folders of models that were made without it do without.
        judge = models / f"{JUDGE}.onnx"
        self.judge = open_helper(judge, threads, "images", JUDGE) if JUDGE in self.consensus.helpers else None
        paths = [models / f"{name}.onnx" for name in self.consensus.names]
        self.artefacts = {path.stem: open_artefact(path, self.device, threads, self.gpu) for path in paths}
        if self.device == "cuda":  # a captured graph belongs to the thread that captured it
            self.fixed = self.do(lambda: FixedShapes(self.artefacts, self.device, self.gpu), here=False)
        else:
            for size in SIZES:
                self.classify(np.zeros((size, 1, 28, 28), np.uint8), self.names)

    @property
    def calibration(self) -> Calibration:
        """The temperatures and thresholds for `self.device`."""
        return self.consensus.calibration(self.device)

    @property
    def names(self) -> list[str]:
        return list(self.artefacts)

    def choose(self, wanted: str | Sequence[str] | None) -> list[str]:
        """The names in a text such as "cnn,vit", in serving order; all names for None. Raises UnknownModel."""
        if wanted is None:
            return self.names
        names = {name.strip() for name in (wanted.split(",") if isinstance(wanted, str) else wanted)}
        for name in sorted(names - set(self.names)):
            raise UnknownModel(f"Unknown model {name[:40]!r}; served models: {', '.join(self.names)}.")
        return [name for name in self.names if name in names]

    def submit(self, images: np.ndarray, names: Sequence[str]) -> Future[Batch]:
        """Classify images (N, 1, 28, 28) uint8, at most LARGEST, 0 background to 255 ink, by the models `names`.

        They run at once in this thread if the models are idle, else with all that waits when the models are free. A
        future that is cancelled before is left out. Its exception is DeviceLost if the models no longer run.
        """
        if len(images) > LARGEST:
            raise ValueError(f"{len(images)} images; a batch holds at most {LARGEST}.")
        return self._add(Job(future=Future(), images=images, names=tuple(names)), here=self.fixed is None)

    def classify(self, images: np.ndarray, names: Sequence[str]) -> Batch:
        """`submit`, and wait. Raises DeviceLost."""
        return self.submit(images, names).result()

    def do(self, work: Callable[[], Result], here: bool = True) -> Result:
        """Run anything that needs the device, and wait for it.

        here: it may run in this thread if the models are idle.
        """
        return self._add(Job(future=Future(), work=work), here).result()

    def read_lines(self, lines: np.ndarray) -> np.ndarray:
        """What is written on lines (N, 1, H, W) uint8, as `service.reading.line` describes it. Raises DeviceLost.

        Returns log-probabilities (N, T, C) float32, of C classes at each of T steps from left to right.
        """

        def run() -> np.ndarray:
            return np.asarray(self.reader.run(None, {"lines": lines}, self._giving_back)[0])

        return self.do(run, here=self.fixed is None)

    def _add(self, job: Job, here: bool) -> Future:
        jobs = self._jobs
        if here and not jobs.waiting and jobs.running.acquire(blocking=False):
            try:
                self._run([job])
            finally:
                jobs.running.release()
            return job.future
        with jobs.ready:
            jobs.waiting.append(job)
            jobs.ready.notify()
        return job.future

    def _run(self, batch: list[Job]) -> None:
        """Run one job, or several with images for the same models, and settle their futures."""
        batch = [job for job in batch if job.future.set_running_or_notify_cancel()]
        if not batch:
            return
        try:
            if batch[0].work is not None:
                result = batch[0].work()
            else:
                parts = [job.images for job in batch if job.images is not None]
                result = self._classify(parts[0] if len(parts) == 1 else np.concatenate(parts), batch[0].names)
        except Exception as error:
            lost = self._is_lost()
            for job in batch:  # each its own exception: a shared one would collect the tracebacks of all
                failure = (
                    DeviceLost(f"The models no longer run on {self.device!r}: {reason_of(error)}")
                    if lost
                    else error
                    if len(batch) == 1
                    else RuntimeError(f"The batch failed: {error}")
                )
                failure.__cause__ = error if failure is not error else None
                job.future.set_exception(failure)
            return
        first = 0
        for job in batch:
            if isinstance(result, Batch) and job.images is not None:
                job.future.set_result(result.part(first, len(job.images)))
                first += len(job.images)
            else:
                job.future.set_result(result)

    def _classify(self, images: np.ndarray, names: Sequence[str]) -> Batch:
        started = time.perf_counter()
        found = self._outputs(images, names)
        finished = time.perf_counter()
        by_name = {
            name: Output(
                probabilities=outputs["probabilities"],
                milliseconds=milliseconds,
                boxes=outputs["boxes"][:, 0] if "boxes" in outputs else None,
            )
            for name, (outputs, milliseconds) in found.items()
        }
        if self.observe is not None:
            self.observe(by_name)
        probabilities = np.stack([output.probabilities for output in by_name.values()])
        is_digit = None
        if self.judge is not None:
            is_digit = np.asarray(self.judge.run([JUDGE], {"images": images})[0])
        verdicts, mean = self.calibration.decide(names, probabilities, is_digit)
        return Batch(
            by_name=by_name,
            mean=mean,
            verdicts=verdicts,
            inference_ms=(finished - started) * 1e3,
            started=started,
        )

    def _outputs(self, images: np.ndarray, names: Sequence[str]) -> dict[str, tuple[dict[str, np.ndarray], float]]:
        """Run the models one after another. Returns {name: ({output: array}, milliseconds)}."""
        if self.fixed is not None:
            return self.fixed.classify(images, names)
        found = {}
        for name in names:
            start, model = time.perf_counter(), self.artefacts[name]
            outputs = dict(zip(model.outputs, model.session.run(model.outputs, {"images": images}), strict=True))
            found[name] = outputs, (time.perf_counter() - start) * 1e3
        return found

    def _is_lost(self) -> bool:
        """Whether the smallest run fails too, after one has failed: then the request was not at fault."""
        try:
            self._outputs(np.zeros((1, 1, 28, 28), np.uint8), self.names)
        except Exception:
            return True
        return False


def _serve(owner: "weakref.ref[Predictor]", jobs: Jobs) -> None:
    """The device's thread: runs what waits until the predictor is gone."""
    while True:
        with jobs.ready:
            jobs.ready.wait_for(lambda: jobs.waiting or jobs.closed)
            if jobs.closed and not jobs.waiting:
                return
        with jobs.running:
            predictor, batch = owner(), _take(jobs)
            if predictor is None:
                return
            if batch:
                predictor._run(batch)
            del predictor


def _take(jobs: Jobs) -> list[Job]:
    """The first waiting job, and with images all later ones for the same models that fit into the batch."""
    with jobs.ready:
        if not jobs.waiting:
            return []
        first = jobs.waiting.popleft()
        batch, room = [first], LARGEST - (0 if first.images is None else len(first.images))
        for job in list(jobs.waiting) if first.images is not None else ():
            if job.images is not None and job.names == first.names and len(job.images) <= room:
                jobs.waiting.remove(job)
                batch.append(job)
                room -= len(job.images)
        return batch


def _close(jobs: Jobs) -> None:
    with jobs.ready:
        jobs.closed = True
        jobs.ready.notify_all()
