"""From the trained network that finds ink to models/page/ink.onnx."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from service.picture.ink import FILE, MULTIPLE
from training.ink import NAME
from training.ink.network import Network
from training.loop.fit import WEIGHTS
from training.release.graph import fold_norms, set_properties

TOLERANCE = 1  # of 255


class Finder(nn.Module):
    """The network with its pixels as they are stored before it and behind it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """pictures (N, 1, H, W) uint8, grey levels -> (N, 1, H, W) uint8, 255 where there surely is ink."""
        return (self.network(pictures.float()).sigmoid() * 255).round().to(torch.uint8)


def export(runs: Path, models: Path) -> Path:
    """Write models/page/ink.onnx from the run in runs/ink/. Returns its path.

    Raises FileNotFoundError without a trained network, RuntimeError if the graph disagrees with PyTorch.
    """
    source = runs / NAME / WEIGHTS
    if not source.exists():
        raise FileNotFoundError(f"{source} is missing; create it with: python -m training.train {NAME}")
    trained = torch.load(source, map_location="cpu", weights_only=True)
    network = Network()
    network.load_state_dict(trained["network"])
    network.eval()
    fold_norms(network)
    graph = Finder(network).eval()
    path = models / FILE
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = {
        0: torch.export.Dim("N", min=1),
        2: MULTIPLE * torch.export.Dim("rows", min=1),
        3: MULTIPLE * torch.export.Dim("columns", min=1),
    }
    example = torch.randint(0, 256, (2, 1, 2 * MULTIPLE, 3 * MULTIPLE), dtype=torch.uint8)
    try:
        torch.onnx.export(
            graph,
            (example,),
            partial,
            input_names=["pictures"],
            output_names=["ink"],
            dynamic_shapes=(sides,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        _check(graph, partial)
        model = onnx.load(partial)
        for noted in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
            noted.ClearField("metadata_props")
            noted.ClearField("doc_string")
        set_properties(
            model,
            {
                "name": NAME,
                "family": "U-Net",
                "parameters": sum(p.numel() for p in Network().parameters()),
                "epochs": trained["settings"]["recipe"]["epochs"],
                "seed": trained["settings"]["seed"],
                "commit": trained["commit"],
                "input": f"pictures uint8 (N, 1, H, W), grey levels, sides multiples of {MULTIPLE}",
                "output": "ink uint8 (N, 1, H, W), 255 where there surely is ink",
            },
        )
        onnx.save(model, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _check(graph: nn.Module, path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in ((1, 1, 256, 256), (2, 1, 96, 320)):
        pictures = torch.randint(0, 256, size, dtype=torch.uint8)
        with torch.no_grad():
            expected = graph(pictures).numpy().astype(int)
        found = np.asarray(session.run(None, {"pictures": pictures.numpy()})[0]).astype(int)
        if np.abs(expected - found).max() > TOLERANCE:
            raise RuntimeError(f"{path}: differs from PyTorch by {np.abs(expected - found).max()} of 255.")
