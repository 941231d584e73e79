"""The initial weights of a network: random, or pretrained convolutions."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import WeightsEnum

PREFIX = "features."


def initialise(network: nn.Module, name: str, source: str | None) -> str:
    """Load initial weights into the network `name`. Returns their name for the artefact's metadata.

    source: None for random weights, else the argument of the network's `load_weights`.
    Raises FileNotFoundError if the weights are missing, ValueError if they do not fit.
    """
    if source is None:
        return "random"
    if not hasattr(network, "load_weights"):
        raise ValueError(f"{name} has no pretrained weights; use --weights none.")
    load: Any = network.load_weights
    load(source)
    return "ImageNet" if source == "imagenet" else Path(source).stem


def features_from(source: str, name: str, imagenet: WeightsEnum) -> dict[str, Any]:
    """The state dict of the `features` of the network `name`.

    source: "imagenet" reads NAME_imagenet_features.pt in the environment's IMAGENET_ROOT if it exists, and downloads
    torchvision's `imagenet` weights otherwise. Any other source is the path of a state dict; its entries under
    `features.` are used.
    Raises FileNotFoundError if the weights are missing, ValueError if the file has no such entries.
    """
    local = Path(os.environ.get("IMAGENET_ROOT") or "data/imagenet") / f"{name}_imagenet_features.pt"
    if source == "imagenet" and local.is_file():
        source = str(local)
    if source == "imagenet":
        try:
            state = imagenet.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise FileNotFoundError(
                f"ImageNet weights could not be downloaded ({error}); put {local.name} into IMAGENET_ROOT, or name a "
                f"local state dict with --weights FILE."
            ) from error
    elif Path(source).is_file():
        try:
            state = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises errors of many types for other files
            raise ValueError(f"--weights {source!r} is not a state dict that PyTorch can load.") from error
    else:
        raise FileNotFoundError(
            f"--weights {source!r} does not exist; use 'imagenet', 'none' or the path of a state dict."
        )
    if not isinstance(state, dict) or not any(key.startswith(PREFIX) for key in state):
        raise ValueError(f"--weights {source!r} has no entries under {PREFIX!r}.")
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
