"""The networks, one file each; a new file here is a new network on the command line, in models/ and over HTTP.

A module has
- RECIPE: its `Recipe`;
- IN_8_BITS = True, where a CPU is to run it so and hardly an image is read otherwise;
- Network(nn.Module), built without arguments, with
  forward(images) -> logits: images (N, 1, 28, 28) float32, 0 background to 1 ink; logits (N, 10);
  loss(images, labels, degrade) -> scalar: labels (N,) int64, NONE for what is no digit; degrade is what the network
  puts on top of the pictures it makes of the images;
  detect(images) -> boxes (N, K, 4), scores (N, K, 10), logits (N, 10) of the best box: detectors only, images of any
  size, boxes as (x_min, y_min, x_max, y_max) in pixels of the input, best score first;
  load_weights(source): only where pretrained weights exist; source is "imagenet" or a state dict's path.
"""

from importlib import import_module
from pkgutil import iter_modules

NAMES = sorted(module.name for module in iter_modules(__path__))


def load(name):
    """The module of one network. Raises ValueError for a name that has no file here."""
    if name not in NAMES:
        raise ValueError(f"Unknown network {name!r}; known networks: {', '.join(NAMES)}.")
    return import_module(f"{__name__}.{name}")
