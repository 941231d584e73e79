"""Pretrained convolutional weights, from torchvision's own download or from a file."""

from pathlib import Path

import torch

PREFIX = "features."


def features_from(source, imagenet):
    """The state dict of a network's `features`.

    source: "imagenet" downloads torchvision's `imagenet` weights; anything else is the path of a state dict, of which
    the entries under `features.` are taken.
    Raises FileNotFoundError if they cannot be had, ValueError if the file holds no such entries.
    """
    if source == "imagenet":
        try:
            state = imagenet.get_state_dict(progress=True, check_hash=True)
        except OSError as error:
            raise FileNotFoundError(
                f"ImageNet weights could not be downloaded ({error}); name a local state dict with --weights FILE."
            ) from error
    elif Path(source).is_file():
        try:
            state = torch.load(source, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load has no error of its own for a file that is something else
            raise ValueError(f"--weights {source!r} is no state dict that PyTorch can load.") from error
    else:
        raise FileNotFoundError(f"--weights {source!r} is no file; give 'imagenet', 'none' or a state dict's path.")
    if not isinstance(state, dict) or not any(key.startswith(PREFIX) for key in state):
        raise ValueError(f"--weights {source!r} holds no weights under {PREFIX!r}.")
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
