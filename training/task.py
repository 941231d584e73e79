"""What a network's file gives the loop and the exporter; `training.networks` describes the whole contract.

A `Task` is what a network learns from, how its loss and its figures are computed, and what of it is exported. A `Graph`
is what the exported file computes.
"""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Data:
    """The folders of the data. None means the default folder."""

    root: Path | None = None  # the folder that holds MNIST/
    writers: Path | None = None  # the folder of the other writers' data


class Graph(nn.Module):
    """The network between an artefact's inputs, as they are stored, and its answers.

    A subclass sets these attributes and defines `forward`, which takes the inputs and returns the outputs, in order.
    """

    examples: dict[str, torch.Tensor]  # each input by name, with values to trace the graph with
    dynamic: dict[str, dict[int, Any]]  # of each input, the sizes that may vary: {axis: torch.export.Dim}
    outputs: tuple[str, ...]
    properties: dict[str, Any]  # entries of the metadata; "input" and "output" describe both in words
    tolerance: float  # largest difference from PyTorch, in any output

    def trials(self) -> list[dict[str, torch.Tensor]]:
        """Inputs on which the exported file is compared with PyTorch: other sizes than the traced ones, blank ones."""
        raise NotImplementedError

    def check(self, path: Path) -> None:
        """Raise RuntimeError if the exported file does not give PyTorch's answers to `trials`."""
        for expected, found in self.answers(path):
            self.compare(path, dict(zip(self.outputs, zip(expected, found, strict=True), strict=True)))

    def compare(self, path: Path, pairs: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """pairs: by output, PyTorch's answer and the file's. Raises RuntimeError if they differ by too much."""
        for name, (expected, found) in pairs.items():
            largest = np.abs(expected.astype(float) - found.astype(float)).max(initial=0)
            if largest > self.tolerance:
                raise RuntimeError(f"{path}: {name} differ from PyTorch's by {largest:.2g}; allowed: {self.tolerance}.")

    def answers(self, path: Path) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
        """For each trial, the outputs of PyTorch and of the file."""
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        pairs = []
        for inputs in self.trials():
            with torch.no_grad():
                expected = self(*inputs.values())
            expected = [part.numpy() for part in (expected if isinstance(expected, tuple) else (expected,))]
            fed = {name: value.numpy() for name, value in inputs.items()}
            pairs.append((expected, [np.asarray(output) for output in session.run(list(self.outputs), fed)]))
        return pairs

    def samples(self) -> list[dict[str, np.ndarray]]:
        """Batches of inputs from which the ranges of 8-bit activations are taken. Only with IN_8_BITS."""
        raise NotImplementedError

    def check_8_bits(self, path: Path) -> None:
        """Raise RuntimeError if the file in 8 bits is too much worse than PyTorch. Only with IN_8_BITS."""
        raise NotImplementedError


class Task:
    """One network's data, loss, figures and export. Data is loaded when it is first needed."""

    votes = False  # whether the artefact names a digit, so that it has a voice in the consensus

    def __init__(self, module: ModuleType, recipe: Any, device: torch.device, data: Data) -> None:
        """module: the network's file; recipe: its RECIPE, perhaps with other values."""
        self.module, self.recipe, self.device, self.data = module, recipe, device, data

    @property
    def steps(self) -> int:
        """The number of batches in an epoch: what the recipe says, unless a subclass counts its data."""
        return self.recipe.steps

    def batch(self, seed: int, epoch: int, step: int) -> Any:
        """What one step learns from, on the device; `epoch` and `step` count from 0.

        The same arguments must give the same batch, so that a resumed run ends where an unbroken one does. numpy's
        generators are seeded by them here; the loop seeds torch's before each step.
        """
        raise NotImplementedError

    def loss(self, network: Any, batch: Any) -> torch.Tensor:
        """The scalar to minimise. The loop calls it under autocast, so large sums belong in `.float()`."""
        raise NotImplementedError

    def validate(self, network: Any) -> dict[str, Any]:
        """Figures for metrics.jsonl, from validation data alone: numbers, or dicts of them. No gradients are taken."""
        raise NotImplementedError

    def watch(self, network: Any) -> str:
        """For each of some validation images, "1" if the network reads it right, else "0"; empty: none is watched."""
        return ""

    def graph(self, network: nn.Module) -> Graph:
        """What is exported of a trained network, which is in evaluation mode and on the CPU."""
        raise NotImplementedError
