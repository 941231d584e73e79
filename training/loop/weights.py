"""What a network starts from: chance, pretrained convolutional weights, or what an earlier run left."""

from pathlib import Path

import torch

from training.loop import history

PREFIX = "features."


def initialise(network, name, source):
    """Put the weights of a recipe's `weights` into a network of that name.

    source: None for none, the path of a run's best.pt, or what the network's own `load_weights` takes.
    Returns what they are, "initial_weights", and the "earlier_seconds" that it took this package to make them.
    Raises FileNotFoundError if they cannot be had, ValueError if they do not fit.
    """
    if source is None:
        return {"initial_weights": "random", "earlier_seconds": 0.0}
    run = _load(source) if Path(source).is_file() else {}
    if isinstance(run, dict) and "settings" in run:
        if run["settings"]["name"] != name:
            raise ValueError(f"--weights {source!r} is of a run of {run['settings']['name']}, not of {name}.")
        if not (Path(source).parent / history.FILE).is_file():
            raise ValueError(f"--weights {source!r} needs the {history.FILE} of its run beside it.")
        try:
            network.load_state_dict(run["network"])
        except RuntimeError as error:
            raise ValueError(f"--weights {source!r} does not fit this version of {name}.") from error
        lines, run = history.read(Path(source).parent), with_start(run)
        words = f"{run['initial_weights']}, {len(lines)} epochs by {run['commit'][:7]}"
        return {"initial_weights": words, "earlier_seconds": run["earlier_seconds"] + history.duration(lines)}
    if not hasattr(network, "load_weights"):
        raise ValueError(f"--weights: {name} is trained from scratch; it starts from a run of its own or from none.")
    network.load_weights(source)
    return {"initial_weights": Path(source).name, "earlier_seconds": 0.0}


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
        state = _load(source)
    else:
        raise FileNotFoundError(f"--weights {source!r} is no file; give 'imagenet', 'none' or a state dict's path.")
    if not isinstance(state, dict) or not any(key.startswith(PREFIX) for key in state):
        raise ValueError(f"--weights {source!r} holds no weights under {PREFIX!r}.")
    return {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}


def with_start(run):
    """What a best.pt holds, also what the run started from: one of an earlier version says that in its recipe alone."""
    weights = run["settings"]["recipe"]["weights"]
    return {"initial_weights": Path(weights).name if weights else "random", "earlier_seconds": 0.0} | run


def _load(source):
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load has no error of its own for a file that is something else
        raise ValueError(f"--weights {source!r} is no state dict that PyTorch can load.") from error
