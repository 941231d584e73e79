"""Export one trained network to models/NAME.onnx: python -m training.export NAME.

The graph holds everything between the pixels and calibrated probabilities. Batch norm is folded into the convolutions
and the weights are rounded to 16 bits before the comparison with PyTorch, number by number. Some graphs then get 8
bits, and may read at most one of the validation images less.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from training import networks
from training.data import mnist
from training.loop import history
from training.loop.weights import with_start
from training.release.calibration import temperature
from training.release.explanations import add_explanations
from training.release.parity import check_accuracy, check_parity
from training.release.quantization import quantize
from training.train import predict

MODELS = Path("models")
HALF = 1024  # numbers from which on a tensor is stored in 16 bits
SMALLEST = 16  # pixels a side of a detector's input
RANGES = 512  # validation images that give the ranges of 8-bit activations
PRECISION = {True: "8-bit weights and activations", False: "16-bit weights, 32-bit arithmetic"}


class Classifier(nn.Module):
    """The graph of models/NAME.onnx: pixels as they are stored in, probabilities out."""

    outputs = ("probabilities",)

    def __init__(self, network, temperature):
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, images):
        """images (N, 1, 28, 28) uint8 -> probabilities (N, 10) float32."""
        return (self.network(mnist.to_unit(images)) / self.temperature).softmax(1)


class Detector(Classifier):
    """A classifier that also says where: the best box's probabilities, every box and its ten scores."""

    outputs = ("probabilities", "boxes", "scores")

    def forward(self, images):
        boxes, scores, logits = self.network.detect(mnist.to_unit(images))
        return (logits / self.temperature).softmax(1), boxes, scores


def graph_of(network, temperature):
    kind = Detector if hasattr(network, "detect") else Classifier
    return kind(network, temperature).eval()


def fold_norms(module):
    """Fold each batch norm of a `Sequential` into the convolution or linear layer before it."""
    for sequence in [m for m in module.modules() if isinstance(m, nn.Sequential)]:
        for i in range(len(sequence) - 1):
            pair = sequence[i], sequence[i + 1]
            if isinstance(pair[0], nn.Conv2d) and isinstance(pair[1], nn.BatchNorm2d):
                sequence[i], sequence[i + 1] = fuse_conv_bn_eval(*pair), nn.Identity()
            elif isinstance(pair[0], nn.Linear) and isinstance(pair[1], nn.BatchNorm1d):
                sequence[i], sequence[i + 1] = fuse_linear_bn_eval(*pair), nn.Identity()


@torch.no_grad()
def round_weights(module):
    """Round the large parameters to what 16 bits can hold."""
    for parameter in module.parameters():
        if parameter.numel() >= HALF:
            parameter.copy_(parameter.half().float())


def to_onnx(graph, path):
    """Trace `graph` at batch 3 and write it, any batch allowed; a detector takes any size from 16 x 16."""
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


def finish(path, properties):
    """Store large weights in 16 bits where that loses nothing, drop the tracer's notes, add what the artefact is."""
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


def set_properties(model, properties):
    """Replace the metadata of an ONNX model: strings as they are, numbers as JSON."""
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in properties.items()}
    onnx.helper.set_model_props(model, text)


def properties_of(best, seconds, graph, module):
    """What the artefact says of itself; test figures are added by training.evaluate."""
    settings, metrics = best["settings"], best["metrics"]
    detector = isinstance(graph, Detector)
    return {
        "name": settings["name"],
        "family": module.__doc__.splitlines()[0].rstrip("."),
        "parameters": sum(p.numel() for p in module.Network().parameters()),
        "initial_weights": best["initial_weights"],
        "data": "MNIST training set: 55,000 images to train, every twelfth (5,000) to validate",
        "seed": settings["seed"],
        "epochs": settings["recipe"]["epochs"],
        "best_epoch": len(metrics),
        "training_seconds": round(seconds),
        "hardware": best["hardware"],
        "torch": best["torch"],
        "commit": best["commit"],
        "precision": PRECISION[_in_8_bits(module)],
        "temperature": round(graph.temperature, 4),
        "input": f"images uint8 (N, 1, {'H, W' if detector else '28, 28'}), 0 background to 255 ink",
        "output": "probabilities float32 (N, 10)"
        + (
            "; boxes float32 (N, K, 4) x_min y_min x_max y_max in pixels; scores float32 (N, K, 10)" if detector else ""
        ),
    }


def _in_8_bits(module):
    return getattr(module, "IN_8_BITS", False)


def export(name, runs, models=MODELS, root=None):
    """Write models/NAME.onnx from the best epoch in runs/NAME/. Returns its path.

    Raises FileNotFoundError without a trained network, RuntimeError if the graph disagrees with PyTorch.
    """
    module, source = networks.load(name), runs / name / "best.pt"
    if not source.exists():
        raise FileNotFoundError(f"{source} is missing; create it with: python -m training.train {name}")
    best = with_start(torch.load(source, map_location="cpu", weights_only=True))
    network = module.Network()
    network.load_state_dict(best["network"])
    network.eval()
    fold_norms(network)
    round_weights(network)
    images, labels = mnist.load("validation", root)
    logits = predict(network, images)
    graph = graph_of(network, temperature(logits, labels.numpy()))
    models.mkdir(exist_ok=True)
    path, partial = models / f"{name}.onnx", models / f".{name}.partial.onnx"
    try:
        to_onnx(graph, partial)
        seconds = best["earlier_seconds"] + history.duration(history.read(runs / name))  # also those after the best one
        properties = properties_of(best, seconds, graph, module)
        if _in_8_bits(module):
            check_parity(graph, partial, images)
            quantize(partial, images[:RANGES])
            finish(partial, properties)
            check_accuracy(partial, images, labels, logits)
        else:
            finish(partial, properties)
            check_parity(graph, partial, images)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help=", ".join(networks.NAMES))
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where training.train wrote; default: runs")
    parser.add_argument("--models", type=Path, default=MODELS, help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    arguments = parser.parse_args(argv)
    try:
        path = export(arguments.name, arguments.runs, arguments.models, arguments.data)
    except (ValueError, FileNotFoundError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MiB, {PRECISION[_in_8_bits(networks.load(arguments.name))]}.")
    print("The service takes it after: python -m training.evaluate")


if __name__ == "__main__":
    main()
