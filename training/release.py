"""Make what the service runs: models/NAME.onnx of a trained network, and models/consensus.json of all of them.

Batch norm is folded into the layer before it, and large weights are rounded to 16 bits. The exported graph must then
give PyTorch's numbers. If the network's module has IN_8_BITS, the graph is converted to one that multiplies in 8 bits,
by onnxruntime's static quantisation, and may be a little worse: `Graph.check_8_bits` says by how much.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from service.inference.consensus import FILE, Calibration, choices, mean_probabilities
from training import networks
from training.digits import REFUSED, temperature
from training.runs import duration, read_metrics, weights_of
from training.task import Data, Graph

PRECISION = {8: "8-bit weights and activations", 32: "16-bit weights, 32-bit arithmetic"}  # by bits
HALF = 1024  # numbers; a tensor of this size or larger is stored in 16 bits
# "Add" is among them because a residual sum in floats would keep the convolution before it in floats too.
KINDS = ["Conv", "Gemm", "MatMul", "Add"]
PRIOR = 10  # images counted for each model beforehand; without any, the few that are read wrong decide alone
# With the network is_digit, confidence alone refuses fewer digits: it knows what is unclear, not what is foreign.
BY_CONFIDENCE = 0.001  # share of MNIST's validation digits
# Shares of digits that both may refuse together, by set: of UNIPEN's as many as confidence alone did (.0208).
TOGETHER = {"validation": 0.003, "unipen_validation": 0.02}
STEPS = 1000  # of expectation maximisation; after 500, no weight of the released models moves by .001


def export(name: str, runs: Path, models: Path, data: Data, title: str | None = None) -> Path:
    """Write models/NAME.onnx, or under another `title`, from the run in runs/NAME/. Returns its path.

    Raises FileNotFoundError if the network is not trained, RuntimeError if the graph disagrees with PyTorch.
    """
    source, module, title = weights_of(runs, name), networks.load(name), title or name
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
        "training_seconds": round(duration(metrics, trained.get("seconds_before", 0.0))),
        "hardware": trained["hardware"],
        "torch": trained["torch"],
        "commit": trained["commit"],
        "arithmetic_bits": bits,
        "precision": PRECISION[bits],
        **graph.properties,
    }


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


class Samples(CalibrationDataReader):
    """Feeds batches of inputs, by name, to onnxruntime."""

    def __init__(self, batches: list[dict[str, np.ndarray]]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> Any:  # a dict, or None after the last batch
        return next(self.batches, None)


def quantize(path: Path, samples: list[dict[str, np.ndarray]]) -> None:
    """Replace the float graph in the file `path` by one that multiplies in 8 bits.

    The inputs of each convolution, linear layer and residual sum are rounded to 8 bits, within the range that they have
    for `samples`, batches of inputs by name. Weights have 7 bits and a scale for each channel: processors without VNNI
    add two 8-bit products in 16 bits, which would overflow with larger weights. Outputs are not rounded, so the logits
    keep their precision.
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


# models/consensus.json: weights, temperatures and thresholds, fitted on validation images.


def fit_consensus(answers: dict[str, np.ndarray], labels: np.ndarray, refused: float = REFUSED) -> Calibration:
    """Fit the weight of each model, and the temperature and the threshold of every subset of them.

    answers: by model, the probabilities (N, 10) of MNIST's validation digits; labels: (N,). Each threshold refuses the
    share `refused` of these digits.
    """
    weight = dict(zip(answers, weights(np.stack(list(answers.values())), labels), strict=True))
    temperatures, thresholds = {}, {}
    for choice in choices(answers):
        names = choice.split(",")
        stacked, own = np.stack([answers[name] for name in names]), [weight[name] for name in names]
        # A single model is calibrated already, inside its graph.
        fitted = 1.0 if len(stacked) == 1 else temperature(np.log(mean_probabilities(stacked, weights=own)), labels)
        temperatures[choice] = round(fitted, 4)
        confidences = mean_probabilities(stacked, temperatures[choice], own).max(1)
        thresholds[choice] = round(float(np.quantile(confidences, refused)), 4)
    return Calibration(weight=weight, temperature=temperatures, threshold=thresholds)


def least_is_digit(is_digit: dict[str, np.ndarray], unsure: dict[str, np.ndarray]) -> float:
    """The least score of an accepted image, such that no set of validation digits loses more than TOGETHER allows.

    is_digit: by set, the scores (N,) of its digits; unsure: which of them confidence refuses, (N,) bool.
    """
    found = [np.quantile(np.where(unsure[name], -1.0, is_digit[name]), TOGETHER[name]) for name in is_digit]
    return max(0.0, round(float(min(found)), 4))


def weights(probabilities: np.ndarray, labels: np.ndarray) -> list[float]:
    """The weights (M,) of the mixture of models that gives the labels (N,) the greatest likelihood; they sum to 1.

    probabilities: (M, N, 10). Stacking (Breiman, https://doi.org/10.1007/BF00117832), by expectation maximisation. A
    network that adds nothing gets almost nothing: one with 92 % accuracy beside the released five got .01.
    """
    of_label = probabilities[:, np.arange(len(labels)), labels].astype(np.float64).clip(1e-12)
    found = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(STEPS):
        shares = found[:, None] * of_label
        counts = (shares / shares.sum(0)).sum(1) + PRIOR
        found = counts / counts.sum()
    return [round(float(weight), 4) for weight in found]


def write_consensus(
    models: Path, names: list[str], on_cpu: Calibration, floats: Calibration, figures: dict[str, float]
) -> None:
    """Write consensus.json for all artefacts in `models`, atomically.

    names: of those that name digits; figures: measured with these together, on a CPU.
    """
    hashes = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(models.glob("*.onnx"))}
    content = {
        "sha256": {name: hashes[name] for name in sorted(names)},
        "helpers": {name: value for name, value in hashes.items() if name not in names},
        **on_cpu.model_dump(),
        "floats": floats.model_dump(),
        "figures": {name: round(value, 6) for name, value in figures.items()},
    }
    partial = models / f".{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, models / FILE)
