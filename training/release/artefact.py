"""Export a trained network to its artefact, models/NAME.onnx.

The exported graph must give PyTorch's numbers. If the network's module has IN_8_BITS, the graph is then quantised to
8 bits, and may read at most one validation image fewer than PyTorch.
"""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from training import networks
from training.data import mnist
from training.loop import history
from training.loop.fit import WEIGHTS, Data
from training.loop.validation import predict
from training.release.calibration import temperature
from training.release.graph import Classifier, Detector, finish, fold_norms, graph_of, round_weights, to_onnx
from training.release.parity import check_accuracy, check_parity
from training.release.quantization import quantize

RANGES = 512  # validation images from which the ranges of 8-bit activations are taken
ARITHMETIC_BITS = "arithmetic_bits"  # entry of the metadata: 8, or 32 for floats
PRECISION = {8: "8-bit weights and activations", 32: "16-bit weights, 32-bit arithmetic"}  # the same in words
INPUT = "images uint8 (N, 1, {0}), 0 background to 255 ink"
OUTPUT = "probabilities float32 (N, 10)"
BOXES = "; boxes float32 (N, K, 4) x_min y_min x_max y_max in pixels; scores float32 (N, K, 10)"


def export(name: str, runs: Path, models: Path, data: Data) -> Path:
    """Write models/NAME.onnx from the run in runs/NAME/. Returns its path.

    Raises FileNotFoundError if the network is not trained, RuntimeError if the graph disagrees with PyTorch.
    """
    module, source = networks.load(name), runs / name / WEIGHTS
    if not source.exists():
        raise FileNotFoundError(f"{source} is missing; create it with: python -m training.train {name}")
    trained = torch.load(source, map_location="cpu", weights_only=True)
    network = module.Network()
    network.load_state_dict(trained["network"])
    network.eval()
    fold_norms(network)
    round_weights(network)
    images, labels = mnist.load("validation", data.root)
    logits = predict(network, images)
    graph = graph_of(network, temperature(logits.numpy(), labels.numpy()))
    models.mkdir(parents=True, exist_ok=True)
    path, partial = models / f"{name}.onnx", models / f".{name}.partial.onnx"
    try:
        to_onnx(graph, partial)
        properties = properties_of(trained, history.read(runs / name), graph, module)
        if in_8_bits(module):
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


def in_8_bits(module: ModuleType) -> bool:
    """Whether the artefact of a network shall compute in 8 bits."""
    return getattr(module, "IN_8_BITS", False)


def properties_of(
    trained: dict[str, Any], metrics: list[dict[str, Any]], graph: Classifier, module: ModuleType
) -> dict[str, Any]:
    """The artefact's metadata. `training.evaluate` adds the measured figures."""
    settings, detector = trained["settings"], isinstance(graph, Detector)
    shares = settings["recipe"]["sources"]
    bits = 8 if in_8_bits(module) else 32
    return {
        "name": settings["name"],
        "family": (module.__doc__ or "").splitlines()[0].rstrip("."),
        "parameters": sum(p.numel() for p in module.Network().parameters()),
        "initial_weights": trained["initial_weights"],
        "data": ", ".join(f"{source} {share:.0%}" for source, share in shares.items() if share),
        "seed": settings["seed"],
        "epochs": len(metrics),
        "training_seconds": round(history.duration(metrics)),
        "hardware": trained["hardware"],
        "torch": trained["torch"],
        "commit": trained["commit"],
        ARITHMETIC_BITS: bits,
        "precision": PRECISION[bits],
        "temperature": round(graph.temperature, 4),
        "input": INPUT.format("H, W" if detector else "28, 28"),
        "output": OUTPUT + (BOXES if detector else ""),
    }
