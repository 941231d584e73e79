"""Export a trained network to its artefact, models/NAME.onnx.

The exported graph must give PyTorch's numbers. If the network's module has IN_8_BITS, the graph is then quantised to
8 bits, and may be a little worse: `Graph.check_8_bits` says by how much.
"""

import dataclasses
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from training import networks
from training.loop import WEIGHTS, duration, read_metrics
from training.release.graph import finish, fold_norms, round_weights, to_onnx
from training.release.quantization import quantize
from training.task import Data, Graph

ARITHMETIC_BITS = "arithmetic_bits"  # entry of the metadata: 8, or 32 for floats
PRECISION = {8: "8-bit weights and activations", 32: "16-bit weights, 32-bit arithmetic"}  # the same in words


def export(name: str, runs: Path, models: Path, data: Data, title: str | None = None) -> Path:
    """Write models/NAME.onnx, or under another `title`, from the run in runs/NAME/. Returns its path.

    Raises FileNotFoundError if the network is not trained, RuntimeError if the graph disagrees with PyTorch.
    """
    module, source, title = networks.load(name), runs / name / WEIGHTS, title or name
    if not source.exists():
        raise FileNotFoundError(f"{source} is missing; create it with: quintet train {name}")
    trained = torch.load(source, map_location="cpu", weights_only=True)
    network = module.Network()
    network.load_state_dict(trained["network"])
    network.eval()
    fold_norms(network)
    round_weights(network)
    task = networks.task(name, recipe_of(module.RECIPE, trained["settings"]["recipe"]), torch.device("cpu"), data)
    graph = task.graph(network).eval()
    models.mkdir(parents=True, exist_ok=True)
    path, partial = models / f"{title}.onnx", models / f".{title}.partial.onnx"
    try:
        to_onnx(graph, partial)
        properties = {"name": title} | properties_of(trained, read_metrics(runs / name), graph, module)
        if in_8_bits(module):
            graph.check(partial)
            quantize(partial, graph.samples())
            finish(partial, properties)
            graph.check_8_bits(partial)
        else:
            finish(partial, properties)
            graph.check(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def in_8_bits(module: ModuleType) -> bool:
    """Whether the artefact of a network shall compute in 8 bits."""
    return getattr(module, "IN_8_BITS", False)


def recipe_of(recipe: Any, recorded: dict[str, Any]) -> Any:
    """A recipe with the values that a run recorded; settings that are newer than the run keep those of `recipe`."""
    values = {}
    for field in dataclasses.fields(recipe):
        if field.name in recorded:
            now, then = getattr(recipe, field.name), recorded[field.name]
            values[field.name] = recipe_of(now, then) if dataclasses.is_dataclass(now) else then
    return dataclasses.replace(recipe, **values)


def properties_of(
    trained: dict[str, Any], metrics: list[dict[str, Any]], graph: Graph, module: ModuleType
) -> dict[str, Any]:
    """The artefact's metadata. `training.evaluate` adds the measured figures."""
    bits = 8 if in_8_bits(module) else 32
    shares = trained["settings"]["recipe"].get("sources", {})
    return {
        "family": (module.__doc__ or "").splitlines()[0].rstrip("."),
        "parameters": sum(p.numel() for p in module.Network().parameters()),
        "initial_weights": trained["initial_weights"],
        "data": ", ".join(f"{source} {share:.0%}" for source, share in shares.items() if share),
        "seed": trained["settings"]["seed"],
        "epochs": len(metrics),
        "training_seconds": round(duration(metrics)),
        "hardware": trained["hardware"],
        "torch": trained["torch"],
        "commit": trained["commit"],
        ARITHMETIC_BITS: bits,
        "precision": PRECISION[bits],
        **graph.properties,
    }
