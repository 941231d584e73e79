"""A float graph to one that multiplies in 8 bits, by onnxruntime's static quantisation (https://onnxruntime.ai/docs).

What goes into a convolution or a linear layer is rounded to 8 bits, in the range that some digits give it; its weights
have 7 and a scale for each channel, since processors without VNNI add up two products of 8 bits in 16 and would
saturate. What comes out stays as it is, so the logits are not rounded.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

BATCH = 32  # images of one calibration step
KINDS = ["Conv", "Gemm", "MatMul"]


class Digits(CalibrationDataReader):
    """images (N, 1, 28, 28) uint8 in batches."""

    def __init__(self, images: torch.Tensor) -> None:
        self.batches = iter(images.split(BATCH))

    def get_next(self) -> Any:  # a dict, in the end None
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def quantize(path: Path, images: torch.Tensor) -> None:
    """Replace the float graph in the file `path`; images (N, 1, 28, 28) uint8 give the ranges of its activations."""
    with TemporaryDirectory() as folder, _quiet():  # onnxruntime leaves files beside its own
        before, after = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        shutil.copy(path, before)
        quantize_static(
            before,
            after,
            Digits(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=KINDS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={"OpTypesToExcludeOutputQuantization": KINDS},
        )
        shutil.copy(after, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice to optimise the graph first, which would make it one of this machine's."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
