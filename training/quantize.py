"""A float graph to one that multiplies in 8 bits, by onnxruntime's static quantisation (https://onnxruntime.ai/docs).

Activations have 8 bits, their ranges those of some digits; weights have 7 and a scale for each channel, since
processors without VNNI add up two products of 8 bits in 16 and would saturate. Rectifiers stay in the graph although 8
bits that start at zero make them needless: a GPU runs it without the roundings between (`service.artefact`).
"""

import logging
from contextlib import contextmanager

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

BATCH = 32  # images of one calibration step


class Digits(CalibrationDataReader):
    """images (N, 1, 28, 28) uint8 in batches."""

    def __init__(self, images):
        self.batches = iter(images.split(BATCH))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def quantize(path, images):
    """Replace the float graph in the file `path`; images (N, 1, 28, 28) uint8 give the ranges of its activations."""
    with _quiet():
        quantize_static(
            path,
            path,
            Digits(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={"QDQKeepRemovableActivations": True},
        )


@contextmanager
def _quiet():
    """Without onnxruntime's advice to optimise the graph first, which would make it one of this machine's."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
