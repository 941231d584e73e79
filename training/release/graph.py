"""The ONNX graph of an artefact. It takes pixels as bytes and gives calibrated probabilities.

Batch norm is folded into the layer before it, and large weights are rounded to 16 bits, before the graph is compared
with PyTorch.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from training.data import mnist
from training.release.explanations import add_explanations

HALF = 1024  # numbers; a tensor of this size or larger is stored in 16 bits
SMALLEST = 16  # pixels a side of a detector's smallest input


class Classifier(nn.Module):
    """A network between the scaling of its pixels and the temperature of its probabilities."""

    outputs: tuple[str, ...] = ("probabilities",)

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network: Any = network  # see training.networks
        self.temperature = temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """images (N, 1, 28, 28) uint8 -> probabilities (N, 10) float32."""
        return (self.network(mnist.to_unit(images)) / self.temperature).softmax(1)


class Detector(Classifier):
    """A classifier that also returns boxes.

    Returns the best box's probabilities (N, 10), all boxes (N, K, 4) and their scores (N, K, 10).
    """

    outputs = ("probabilities", "boxes", "scores")

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        boxes, scores, logits = self.network.detect(mnist.to_unit(images))
        return (logits / self.temperature).softmax(1), boxes, scores


def graph_of(network: nn.Module, temperature: float) -> Classifier:
    """The graph of a network, in evaluation mode."""
    kind = Detector if hasattr(network, "detect") else Classifier
    graph = kind(network, temperature)
    graph.eval()
    return graph


def fold_norms(module: nn.Module) -> None:
    """Fold each batch norm of a `Sequential` into the convolution or linear layer before it."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(sequence) - 1):
            layer, norm = sequence[i], sequence[i + 1]
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                sequence[i], sequence[i + 1] = fuse_linear_bn_eval(layer, norm), nn.Identity()


@torch.no_grad()
def round_weights(module: nn.Module) -> None:
    """Round parameters of at least HALF numbers to the nearest float16."""
    for parameter in module.parameters():
        if parameter.numel() >= HALF:
            parameter.copy_(parameter.half().float())


def to_onnx(graph: Classifier, path: Path) -> None:
    """Write `graph` as ONNX for batches of any size and, if it is a detector, for images of at least 16x16."""
    dimensions = {0: torch.export.Dim("N", min=1)}
    size = (mnist.SIZE, mnist.SIZE)
    if isinstance(graph, Detector):
        dimensions |= {2: torch.export.Dim("H", min=SMALLEST), 3: torch.export.Dim("W", min=SMALLEST)}
        size = (40, 52)
    torch.onnx.export(
        graph,
        (torch.randint(0, 256, (3, 1, *size), dtype=torch.uint8),),
        path,
        input_names=["images"],
        output_names=list(graph.outputs),
        dynamic_shapes=(dimensions,),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def finish(path: Path, properties: dict[str, Any]) -> None:
    """Store large weights in 16 bits where that loses nothing, remove the exporter's notes, and set the metadata."""
    model = onnx.load(path)
    graph, casts = model.graph, []
    for initializer in graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < HALF or (values.astype(np.float16) != values).any():
            continue
        name = initializer.name
        initializer.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = casts + list(graph.node)
    for noted in (*nodes, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    del graph.node[:], graph.value_info[:], graph.metadata_props[:]
    graph.node.extend(nodes)
    graph.name = properties["name"]
    set_properties(model, properties)
    add_explanations(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def set_properties(model: onnx.ModelProto, properties: dict[str, Any]) -> None:
    """Replace the metadata of an ONNX model. Strings are written as they are, other values as JSON."""
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in properties.items()}
    onnx.helper.set_model_props(model, text)
