"""Models on a GPU: a few fixed shapes, buffers that stay where they are, one upload of the images for all models.

A shape that is new to CUDA costs a search for algorithms and more memory, which is not given back; so a batch is filled
up to the next of SIZES, and all of them are run before the first request, the largest first.
"""

import time

import numpy as np
from onnxruntime import OrtValue

from service.inference.shapes import SIZES

INPUT = "images"


class Bound:
    """The sessions of {name: service.artefact.Artefact}, bound to buffers on `device`, "cuda" or, for tests, "cpu"."""

    def __init__(self, artefacts, device):
        self.artefacts = artefacts
        self._images = {size: OrtValue.ortvalue_from_numpy(_empty(size), device, 0) for size in SIZES}
        self._bindings = {}
        for size in SIZES:
            for name, artefact in artefacts.items():
                binding = artefact.session.io_binding()
                binding.bind_ortvalue_input(INPUT, self._images[size])
                for output in artefact.outputs:
                    binding.bind_output(output, device)
                self._bindings[name, size] = binding
        for size in SIZES:
            self.run(_empty(size), artefacts)

    def run(self, images, names):
        """Run models on images (N, 1, 28, 28) uint8. Returns {name: ({output: array of N rows}, milliseconds)}."""
        parts = [self._run(images[start : start + SIZES[0]], names) for start in range(0, len(images), SIZES[0])]
        return {
            name: (
                {key: np.concatenate([part[name][0][key] for part in parts]) for key in parts[0][name][0]},
                sum(part[name][1] for part in parts),
            )
            for name in names
        }

    def _run(self, images, names):
        count = len(images)
        size = min(size for size in SIZES if size >= count)
        filled = _empty(size)
        filled[:count] = images
        self._images[size].update_inplace(filled)
        found = {}
        for name in names:
            start = time.perf_counter()
            artefact, binding = self.artefacts[name], self._bindings[name, size]
            artefact.session.run_with_iobinding(binding)
            outputs = binding.copy_outputs_to_cpu()  # waits for the GPU
            found[name] = (
                {key: value[:count] for key, value in zip(artefact.outputs, outputs, strict=True)},
                (time.perf_counter() - start) * 1e3,
            )
        return found


def _empty(size):
    return np.zeros((size, 1, 28, 28), np.uint8)
