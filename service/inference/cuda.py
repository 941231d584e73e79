"""Run models on a GPU: one session for each shape, with fixed buffers, whose runs are captured as a CUDA graph.

A Faster R-CNN has hundreds of small kernels, and starting them one by one costs more than running them. A CUDA graph
starts all of them at once. onnxruntime has these rules for it
(https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-in-the-cuda-ep): every
node is on the GPU, shapes and addresses never change, the first runs record, and all runs are in one thread.

Each session loads its own copy of the weights, because opening a session folds and rearranges them.
"""

import logging
import time
from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime
from onnxruntime import OrtValue

from .artefact import Artefact
from .device import SIZES, CudaUnusable, open_session, reason_of

logger = logging.getLogger("bentoml.quintet")

INPUT = "images"
RECORDING_RUNS = 2  # after the run that finds the outputs' shapes: one settles memory, one is captured
TOLERANCE = 1e-3  # largest difference of a probability between a captured graph and the plain session
Outputs = dict[str, np.ndarray]


class Bound:
    """One session of a fixed shape, bound to buffers for its input and its outputs."""

    def __init__(
        self, session: onnxruntime.InferenceSession, outputs: Sequence[str], images: OrtValue, device: str, gpu: int
    ) -> None:
        self._session, self._outputs = session, outputs
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(INPUT, images)
        for name in outputs:  # for a first run, which finds the shapes of the outputs
            self._binding.bind_output(name, device, gpu)
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("gpu_graph_id", "-1")  # do not capture this run
        session.run_with_iobinding(self._binding, options)
        shapes = [value.shape() for value in self._binding.get_outputs()]
        self._binding.clear_binding_outputs()
        self._buffers = [OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, gpu) for shape in shapes]
        for name, buffer in zip(outputs, self._buffers, strict=True):
            self._binding.bind_ortvalue_output(name, buffer)
        for _ in range(RECORDING_RUNS):
            self.run()

    def run(self) -> Outputs:
        self._session.run_with_iobinding(self._binding)
        return dict(zip(self._outputs, self._binding.copy_outputs_to_cpu(), strict=True))


class FixedShapes:
    """Sessions of every model for each batch size in SIZES.

    A captured graph belongs to the thread that captured it: one thread makes an object of this class and calls it.
    device: "cuda", or "cpu" to test this class without a GPU. Raises CudaUnusable if a model does not run.
    """

    def __init__(self, artefacts: Mapping[str, Artefact], device: str, gpu: int = 0, graph: bool = True) -> None:
        self.captured: dict[str, bool] = {}  # whether it runs as a CUDA graph, by model and shape
        self._device, self._gpu = device, gpu
        self._images = {
            size: OrtValue.ortvalue_from_numpy(np.zeros((size, 1, 28, 28), np.uint8), device, gpu) for size in SIZES
        }
        self._bound = {
            (name, size): self._open(artefact, size, graph) for size in SIZES for name, artefact in artefacts.items()
        }

    def classify(self, images: np.ndarray, names: Sequence[str]) -> dict[str, tuple[Outputs, float]]:
        """Run models on images (N, 1, 28, 28) uint8, N from 1 to LARGEST, in the smallest session that they fit into.

        Returns {name: ({output: array of N rows}, milliseconds)}.
        """
        size = min(size for size in SIZES if size >= len(images))
        filled = np.zeros((size, *images.shape[1:]), np.uint8)
        filled[: len(images)] = images
        self._images[size].update_inplace(filled)
        found = {}
        for name in names:
            start = time.perf_counter()
            outputs = self._bound[name, size].run()  # waits for the GPU
            found[name] = (
                {key: value[: len(images)] for key, value in outputs.items()},
                (time.perf_counter() - start) * 1e3,
            )
        return found

    def _open(self, artefact: Artefact, size: int, graph: bool) -> Bound:
        """Open and warm up a session. It uses no graph if capturing fails or changes the answers."""
        title = f"{artefact.name} at {size} x 28 x 28"
        for captured in [True, False] if graph else [False]:
            try:
                session = open_session(
                    artefact.content,
                    self._device,
                    threads=1,
                    floats=self._device == "cuda",
                    gpu=self._gpu,
                    shape=(size, 28, 28),
                    graph=captured,
                )
                bound = Bound(session, artefact.outputs, self._images[size], self._device, self._gpu)
                self._compare(bound, artefact, size)
            except Exception as error:  # onnxruntime's exceptions have many classes
                if not captured:
                    raise CudaUnusable(f"{title} does not run on the GPU: {reason_of(error)}") from error
                logger.warning("%s runs without a CUDA graph: %s", title, reason_of(error))
            else:
                self.captured[title] = captured
                return bound
        raise AssertionError("unreachable: the last try returns or raises")

    def _compare(self, bound: Bound, artefact: Artefact, size: int) -> None:
        """Raise RuntimeError unless the answer is the plain session's: a badly captured graph repeats old answers."""
        images = np.random.default_rng(size).integers(0, 256, (size, 1, 28, 28), np.uint8)
        self._images[size].update_inplace(images)
        found = bound.run()["probabilities"]
        expected = artefact.session.run(["probabilities"], {INPUT: images})[0]
        largest = float(np.abs(found - expected).max())
        if not largest <= TOLERANCE:
            raise RuntimeError(f"its probabilities differ from the plain session's by {largest:.2g}")
