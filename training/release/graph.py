"""The ONNX graph of an artefact.

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

from training.task import Graph

HALF = 1024  # numbers; a tensor of this size or larger is stored in 16 bits


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


def to_onnx(graph: Graph, path: Path) -> None:
    """Write `graph` as ONNX, for all sizes that it allows."""
    torch.onnx.export(
        graph,
        tuple(graph.examples.values()),
        path,
        input_names=list(graph.examples),
        output_names=list(graph.outputs),
        dynamic_shapes=tuple(graph.dynamic.get(name, {}) for name in graph.examples),
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
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def set_properties(model: onnx.ModelProto, properties: dict[str, Any]) -> None:
    """Replace the metadata of an ONNX model. Strings are written as they are, other values as JSON."""
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in properties.items()}
    onnx.helper.set_model_props(model, text)
