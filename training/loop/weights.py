"""What a network starts from: chance, or pretrained convolutional weights."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import WeightsEnum

PREFIX = "features."


def initialise(network: nn.Module, name: str, source: str | None) -> str:
    """Put the weights of a recipe's `weights` into the network `name`. Returns what they are, in a word or two.

    source: None for none, or what the network's own `load_weights` takes.
    Raises FileNotFoundError if they cannot be had, ValueError if they do not fit.
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

    source: "imagenet" takes NAME_imagenet_features.pt from the folder IMAGENET_ROOT of the environment, if it is there,
    and downloads torchvision's `imagenet` weights otherwise; anything else is the path of a state dict, of which the
    entries under `features.` are taken.
    Raises FileNotFoundError if they cannot be had, ValueError if the file holds no such entries.
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
        except Exception as error:  # torch.load has no error of its own for a file that is something else
            raise ValueError(f"--weights {source!r} is no state dict that PyTorch can load.") from error
    else:
        raise FileNotFoundError(f"--weights {source!r} does not exist; use 'imagenet', 'none' or a state dict's path.")
    if not isinstance(state, dict) or not any(key.startswith(PREFIX) for key in state):
        raise ValueError(f"--weights {source!r} has no entries under {PREFIX!r}.")
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
