"""The networks, one file each. A new file here is trained, resumed and exported like the others.

Each module NAME.py defines:

- RECIPE: a frozen dataclass, `training.recipe.Recipe` or a subclass of it with the network's own settings.
- Network(nn.Module), built without arguments. The optimiser updates its parameters; batch norm after a convolution or a
  linear layer of a `Sequential` is folded into it for the export. It may have
  load_weights(source), only if there are pretrained weights: source is "imagenet" or the path of a state dict.
- TASK: a subclass of `training.task.Task`, which says in five methods what the network learns from (`steps`, `batch`),
  its `loss`, its figures on validation data (`validate`), and the inputs, outputs and variable sizes of the exported
  graph (`graph`).
- IN_8_BITS = True, only if its artefact computes in 8 bits (`training.release.quantize`).
- RELEASED = False, only if `make models` and the tables shall leave it out.

`quintet train NAME` writes runs/NAME/, `quintet export NAME` writes models/NAME.onnx, and `make models` does both for
all. The first line of the module's docstring is published as the network's family.

A network that names digits has `TASK = training.digits.Digits`, and votes in the consensus. Its Network has

  forward(images) -> logits: images (N, 1, 28, 28) float32, 0 background to 1 ink; logits (N, 10),

and needs no more. A detector has three more methods, see faster_rcnn.py and `training.digits`. cnn.py is a short
example of a network that names digits, ink.py one with data, loss and figures of its own.

This package imports PyTorch only when a network is loaded, so that commands can list the names quickly.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from training.task import Data, Task

NAMES = sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> ModuleType:
    """The module of one network. Raises ValueError for a name that has no file here."""
    if name not in NAMES:
        raise ValueError(f"Unknown network {name!r}; known networks: {', '.join(NAMES)}.")
    return import_module(f"{__name__}.{name}")


def task(name: str, recipe: Any, device: "torch.device", data: "Data") -> "Task":
    """The task of one network by its RECIPE, perhaps with other values."""
    module = load(name)
    return module.TASK(module, recipe, device, data)


def voters() -> list[str]:
    """The released networks that name digits."""
    return [name for name in NAMES if getattr(load(name), "RELEASED", True) and load(name).TASK.votes]
