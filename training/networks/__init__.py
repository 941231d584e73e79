"""The networks, one file each. A new file here adds a network to the commands, to models/ and to the HTTP interface.

Each module NAME.py defines:

- RECIPE: its `training.loop.recipe.Recipe`.
- IN_8_BITS = True, only if its artefact computes in 8 bits (`training.release.quantization`).
- Network(nn.Module), built without arguments, with these methods:
  forward(images) -> logits: images (N, 1, 28, 28) float32, 0 background to 1 ink; logits (N, 10).
  loss(images, labels, degrade) -> scalar: labels (N,) int64, `training.data.nondigits.NONE` for a non-digit. The
  network applies `degrade`, which returns degraded images of the same shape, to what it trains on.
  detect(images), only if it is a detector -> boxes (N, K, 4), scores (N, K, 10), logits (N, 10) of the best box.
  Images may have any size; boxes are (x_min, y_min, x_max, y_max) in pixels of the input, best score first.
  load_weights(source), only if there are pretrained weights: source is "imagenet" or the path of a state dict.

The first line of the module's docstring is published as the network's family. cnn.py is a short example.

This package imports PyTorch only when a network is loaded, so that commands can list the names quickly.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

NAMES = sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of one network. Raises ValueError for a name that has no file here."""
    if name not in NAMES:
        raise ValueError(f"Unknown network {name!r}; known networks: {', '.join(NAMES)}.")
    return import_module(f"{__name__}.{name}")
