"""Convert a float graph to one that multiplies in 8 bits, by onnxruntime's static quantisation.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

The inputs of each convolution, linear layer and residual sum are rounded to 8 bits, within the range that they have for
some sample inputs. Weights have 7 bits and a scale for each channel: processors without VNNI add two 8-bit products in
16 bits, which would overflow with larger weights. Outputs are not rounded, so the logits keep their precision.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

# "Add" is among them because a residual sum in floats would keep the convolution before it in floats too.
KINDS = ["Conv", "Gemm", "MatMul", "Add"]


class Samples(CalibrationDataReader):
    """Feeds batches of inputs, by name, to onnxruntime."""

    def __init__(self, batches: list[dict[str, np.ndarray]]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> Any:  # a dict, or None after the last batch
        return next(self.batches, None)


def quantize(path: Path, samples: list[dict[str, np.ndarray]]) -> None:
    """Replace the float graph in the file `path`.

    samples: batches of inputs, by name; the ranges of the activations are those that they cause.
    """
    with TemporaryDirectory() as folder, _quiet():  # onnxruntime leaves temporary files beside the model
        before, after = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        shutil.copy(path, before)
        quantize_static(
            before,
            after,
            Samples(samples),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=KINDS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={
                "OpTypesToExcludeOutputQuantization": KINDS,
                # An activation that both a residual block and its sum read is rounded separately for each of them:
                # for a GPU, onnxruntime must remove all roundings, and it removes only those with one reader.
                "DedicatedQDQPair": True,
            },
        )
        shutil.copy(after, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence onnxruntime's advice to optimise the graph first, which would tie the graph to this machine."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
