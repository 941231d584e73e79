"""The five models, loaded once and shared by all threads: 28x28 images in, each model's answer out."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np

from service.inference import artefact, consensus
from service.inference.cuda import Bound

logger = logging.getLogger("bentoml.quintet")  # BentoML shows what is logged under its own name

LARGEST = 32  # images in a batch: who has more takes turns with the others
WARM_UP = LARGEST, 8, 1  # batch sizes, the largest first: memory that grows later is not given back
PAGE = 64  # pixels of which a page on a GPU is a multiple: each new shape costs it a search


class UnknownModel(ValueError):
    """A name that is not served; the message lists those that are."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one model says of a batch."""

    probabilities: np.ndarray  # (N, 10) float32
    milliseconds: float  # in onnxruntime, for the whole batch
    boxes: np.ndarray | None = None  # (N, 4) float32, detectors only: the best box, in pixels of the 28x28 image


@dataclass(frozen=True, kw_only=True)
class Answers:
    by_name: dict[str, Answer]
    verdicts: list[consensus.Verdict]  # one an image
    inference_ms: float  # all the chosen models, one after another


class Predictor:
    """Its lock `busy` is held while models run: two at once on the same cores or GPU only slow each other down."""

    def __init__(self, models, device, threads):
        """Load what consensus.json lists, on "auto", "cpu" or "cuda".

        Raises UnusableArtefact for a missing or damaged file, RuntimeError for a CUDA that does not load.
        """
        self.consensus = consensus.load_consensus(models)
        self.device = artefact.choose_device(device)
        self.busy = threading.RLock()
        self.observe = None  # is told of each batch that was run, {name: Answer}
        try:
            self._open(models, threads)
        except artefact.CudaUnusable as error:
            if device == "cuda":
                raise
            logger.warning("On the CPU, although there is an NVIDIA driver: %s", error)
            self.device = "cpu"
            self._open(models, threads)

    def _open(self, models, threads):
        """Load and warm up everything on `self.device`."""
        paths = [models / f"{name}.onnx" for name in self.consensus.names]
        self.artefacts = {path.stem: artefact.open_artefact(path, self.device, threads) for path in paths}
        self._bound = None
        if self.device == "cuda":
            try:
                self._bound = Bound(self.artefacts, self.device)
            except Exception as error:  # onnxruntime's own, each a class of its own
                raise artefact.CudaUnusable(f"The models do not run on the GPU: {artefact.reason_of(error)}") from error
        else:
            for size in WARM_UP:
                self.classify(np.zeros((size, 1, 28, 28), np.uint8), self.names)

    @property
    def names(self):
        return list(self.artefacts)

    def choose(self, wanted):
        """The names in "cnn,vit", all for None, in serving order. Raises UnknownModel."""
        if wanted is None:
            return self.names
        names = {name.strip() for name in wanted.split(",")}
        for name in sorted(names - set(self.names)):
            raise UnknownModel(f"Unknown model {name[:40]!r}; served models: {', '.join(self.names)}.")
        return [name for name in self.names if name in names]

    def classify(self, images, names):
        """Run the models `names` on images (N, 1, 28, 28) uint8, 0 background to 255 ink."""
        with self.busy:
            started = time.perf_counter()
            by_name = {name: _answer(*found) for name, found in self._run(images, names).items()}
            finished = time.perf_counter()
        if self.observe is not None:
            self.observe(by_name)
        probabilities = np.stack([answer.probabilities for answer in by_name.values()])
        return Answers(
            by_name=by_name,
            verdicts=self.consensus.decide(names, probabilities),
            inference_ms=(finished - started) * 1e3,
        )

    def detect(self, pages):
        """Every digit of 12 to 64 pixels that Faster R-CNN sees on pages (N, 1, H, W) uint8, 0 background to 255 ink.

        Returns boxes (N, K, 4), in pixels of the page, and scores (N, K, 10), both float32; K is 0 without a detector.
        """
        if self._bound is not None:
            pages = np.pad(pages, [(0, 0), (0, 0), *((0, -side % PAGE) for side in pages.shape[2:])])
        for model in self.artefacts.values():
            if "scores" in model.outputs:
                with self.busy:
                    return model.session.run(["boxes", "scores"], {"images": pages})
        return np.zeros((len(pages), 0, 4), np.float32), np.zeros((len(pages), 0, 10), np.float32)

    def _run(self, images, names):
        """{name: ({output: array}, milliseconds)}"""
        if self._bound is not None:
            return self._bound.run(images, names)
        found = {}
        for name in names:
            start, model = time.perf_counter(), self.artefacts[name]
            outputs = dict(zip(model.outputs, model.session.run(None, {"images": images}), strict=True))
            found[name] = outputs, (time.perf_counter() - start) * 1e3
        return found


def _answer(outputs, milliseconds):
    boxes = outputs["boxes"][:, 0] if "boxes" in outputs else None
    return Answer(probabilities=outputs["probabilities"], milliseconds=milliseconds, boxes=boxes)
