"""Load all models once for all threads, and give each model's answer to 28x28 images."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from ..picture.ink import FILE
from .artefact import open_artefact, open_finder
from .consensus import Calibration, Verdict, load_consensus
from .cuda import FixedShapes
from .device import CudaUnusable, DeviceLost, choose_device, gpu_of, reason_of
from .shapes import SIZES
from .turns import Turns

logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it


class UnknownModel(ValueError):
    """The request names a model that is not served; the message lists those that are."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model says about a batch."""

    probabilities: np.ndarray  # (N, 10) float32
    milliseconds: float  # in onnxruntime, for the whole batch
    boxes: np.ndarray | None = None  # (N, 4) float32, detectors only: the best box, in pixels of the 28x28 image


@dataclass(frozen=True, kw_only=True)
class Answers:
    by_name: dict[str, Answer]
    verdicts: list[Verdict]  # one for each image
    inference_ms: float  # the chosen models, one after another


class Predictor:
    """Runs one batch at a time, because two batches on the same cores or GPU only slow each other down.

    Threads hold the lock `turns` while models run, and get it in the order in which they asked.
    """

    def __init__(self, models: Path, device: str, threads: int, worker: int = 0) -> None:
        """Load the models that consensus.json lists, on "auto", "cpu" or "cuda".

        worker: the number of this process, from 0; workers take the GPUs in turn.
        Raises UnusableArtefact for a missing or damaged file, RuntimeError if CUDA is requested and does not load.
        """
        self.consensus = load_consensus(models)
        self.device = choose_device(device)
        self.turns = Turns()
        self.gpu = gpu_of(worker) if self.device == "cuda" else 0
        self.fixed: FixedShapes | None = None  # on a GPU, sessions for the shapes of nearly all runs
        # Without this, onnxruntime keeps the memory of its largest page, up to 300 MB.
        self._giving_back = onnxruntime.RunOptions()
        self._giving_back.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self.observe: Callable[[dict[str, Answer]], None] | None = None  # called after each batch
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
        self.finder = open_finder(models / FILE, threads)  # its few megabytes of sums are not worth a copy to a GPU
        paths = [models / f"{name}.onnx" for name in self.consensus.names]
        self.artefacts = {path.stem: open_artefact(path, self.device, threads, self.gpu) for path in paths}
        if self.device == "cuda":
            self.fixed = FixedShapes(self.artefacts, self.device, self.gpu)
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

    def choose(self, wanted: str | None) -> list[str]:
        """The names in a text such as "cnn,vit", in serving order; all names for None. Raises UnknownModel."""
        if wanted is None:
            return self.names
        names = {name.strip() for name in wanted.split(",")}
        for name in sorted(names - set(self.names)):
            raise UnknownModel(f"Unknown model {name[:40]!r}; served models: {', '.join(self.names)}.")
        return [name for name in self.names if name in names]

    def classify(self, images: np.ndarray, names: Sequence[str]) -> Answers:
        """Run the models `names` on images (N, 1, 28, 28) uint8, 0 background to 255 ink. Raises DeviceLost."""
        with self.turns:
            started = time.perf_counter()
            try:
                found = self._run(images, names)
            except Exception as error:
                self._check_device(error)
                raise
            finished = time.perf_counter()
        by_name = {name: _answer(*outputs) for name, outputs in found.items()}
        if self.observe is not None:
            self.observe(by_name)
        probabilities = np.stack([answer.probabilities for answer in by_name.values()])
        return Answers(
            by_name=by_name,
            verdicts=self.calibration.decide(names, probabilities),
            inference_ms=(finished - started) * 1e3,
        )

    def detect(self, pages: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find digits of 12 to 64 pixels on pages (N, 1, H, W) uint8, 0 background to 255 ink, with Faster R-CNN.

        Returns boxes (N, K, 4) in pixels of the page and scores (N, K, 10), both float32; K is 0 without a detector.
        Raises DeviceLost.
        """
        detector = next((model for model in self.artefacts.values() if "scores" in model.outputs), None)
        if detector is None:
            return np.zeros((len(pages), 0, 4), np.float32), np.zeros((len(pages), 0, 10), np.float32)
        with self.turns:
            try:
                if self.fixed is not None and len(pages) == 1:
                    found = self.fixed.detect(pages, detector.name)
                    if found is not None:
                        return found["boxes"], found["scores"]
                found = detector.session.run(["boxes", "scores"], {"images": pages}, self._giving_back)
                boxes, scores = map(np.asarray, found)
            except Exception as error:
                self._check_device(error)
                raise
        return boxes, scores

    def explanations(self, images: np.ndarray, name: str) -> dict[str, np.ndarray]:
        """The further outputs of the model `name` for images (N, 1, 28, 28) uint8, as {output: array of N rows}.

        The Vision Transformer has `attention`, Faster R-CNN has `proposals` and `objectness`, other models have none.
        """
        model = self.artefacts[name]
        if not model.explanations:
            return {}
        with self.turns:
            outputs = map(np.asarray, model.session.run(model.explanations, {"images": images}))
        return dict(zip(model.explanations, outputs, strict=True))

    def _check_device(self, error: Exception) -> None:
        """Try the smallest run after a failed one. Raises DeviceLost if it fails too: the request was not at fault."""
        try:
            self._run(np.zeros((1, 1, 28, 28), np.uint8), self.names)
        except Exception:
            raise DeviceLost(f"The models no longer run on {self.device!r}: {reason_of(error)}") from error

    def _run(self, images: np.ndarray, names: Sequence[str]) -> dict[str, tuple[dict[str, np.ndarray], float]]:
        """Run the models one after another. Returns {name: ({output: array}, milliseconds)}."""
        if self.fixed is not None:
            return self.fixed.classify(images, names)
        found = {}
        for name in names:
            start, model = time.perf_counter(), self.artefacts[name]
            outputs = dict(zip(model.outputs, model.session.run(model.outputs, {"images": images}), strict=True))
            found[name] = outputs, (time.perf_counter() - start) * 1e3
        return found


def _answer(outputs: dict[str, np.ndarray], milliseconds: float) -> Answer:
    boxes = outputs["boxes"][:, 0] if "boxes" in outputs else None
    return Answer(probabilities=outputs["probabilities"], milliseconds=milliseconds, boxes=boxes)
