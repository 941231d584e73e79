"""The networks, one file each; a new file here is a new network on the command line, in models/ and over HTTP.

A module has
- RECIPE: its `Recipe`;
- IN_8_BITS = True, if its artefact computes in 8 bits (`training.release.quantization`);
- Network(nn.Module), built without arguments, with
  forward(images) -> logits: images (N, 1, 28, 28) float32, 0 background to 1 ink; logits (N, 10);
  loss(images, labels, degrade) -> scalar: labels (N,) int64, NONE for what is no digit; `degrade` has to be applied to
  the pictures that the network makes of the images;
  detect(images) -> boxes (N, K, 4), scores (N, K, 10), logits (N, 10) of the best box: detectors only, images of any
  size, boxes as (x_min, y_min, x_max, y_max) in pixels of the input, best score first;
  load_weights(source): only where pretrained weights exist; source is "imagenet" or a state dict's path.

Nothing here imports PyTorch until a network is loaded: the commands know the names before.
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
