"""Fine-tune a network on one's own digits: quintet train NAME --from CHECKPOINT --images FOLDER.

The folder is one that `quintet evaluate --images` takes, such as the corrections that the page downloads. A fifth of it
is held out. Of each batch, a share is one's own, and the rest is what the network was trained on, so that it forgets
nothing.
"""

import base64
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.digits import Digits, predict
from training.measure.folder import labelled
from training.recipe import NONE, DigitRecipe
from training.task import Data

EPOCHS = 2
HELD_OUT = 5  # every fifth image, in the order of what they show
LEAST = 10  # digits that a folder must have


@dataclass(frozen=True, kw_only=True)
class OwnRecipe(DigitRecipe):
    """The recipe of the network, but short, with a tenth of its learning rate, from a checkpoint."""

    images: str  # the folder
    share: float = 0.25  # of a batch


def recipe_of(recipe: DigitRecipe, checkpoint: Path, images: Path, epochs: int | None) -> OwnRecipe:
    """`recipe` from the checkpoint on, with the images; epochs: default: EPOCHS."""
    values: dict[str, Any] = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    values |= {"epochs": epochs or EPOCHS, "lr": recipe.lr / 10, "warmup": 0.1, "mild_epochs": 0}
    values |= {"weights": str(checkpoint), "images": str(images)}
    return OwnRecipe(**values)


class OwnDigits(Digits):
    def __init__(self, module: ModuleType, recipe: OwnRecipe, device: torch.device, data: Data, models: Path) -> None:
        """models: the folder of the service's models, which find the digit in each image.

        Raises FileNotFoundError for a folder without labels, ValueError if it has too few images.
        """
        super().__init__(module, recipe, device, data)
        self.share = recipe.share
        images, labels = seen(Path(recipe.images), models)
        held_out = torch.arange(len(images)) % HELD_OUT == HELD_OUT - 1
        self.own = images[~held_out].to(device), labels[~held_out].to(device)
        self.held_out = images[held_out].to(device), labels[held_out]

    def draw(self, seed: int, epoch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """One's own images, drawn with replacement, take the place of some of MNIST's."""
        images, labels = super().draw(seed, epoch, step)
        count = round(self.share * len(images))
        rows = np.random.default_rng([seed, epoch, step, 1]).integers(0, len(self.own[0]), count)
        chosen = torch.from_numpy(rows).to(self.device)
        return torch.cat([images[count:], self.own[0][chosen]]), torch.cat([labels[count:], self.own[1][chosen]])

    def validate(self, network: nn.Module) -> dict[str, dict[str, float]]:
        images, labels = self.held_out
        digits = labels != NONE
        right = (predict(network, images[digits.to(self.device)]).argmax(1) == labels[digits]).float()
        return {"own": {"accuracy": right.mean().item()}} | super().validate(network)


def seen(folder: Path, models: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of one digit or none, as the service sees them: (N, 1, 28, 28) uint8, and labels (N,), by label."""
    recogniser, images, labels = Recogniser(models, "cpu"), [], []
    single = sorted((one for one in labelled(folder) if len(one.truth) < 2), key=lambda one: (one.truth, one.path))
    for one in tqdm(single, desc=folder.name):
        try:
            explained = recogniser.predict(one.path, recogniser.names[0], explain=True).explain
        except InvalidImage as error:
            tqdm.write(f"{one.path} is left out: {error}")
            continue
        png = base64.b64decode(explained.image.partition(",")[2]) if explained else b""
        images.append(np.asarray(Image.open(io.BytesIO(png))))
        labels.append(int(one.truth) if one.truth else NONE)
    digits = sum(label != NONE for label in labels)
    if digits < LEAST:
        raise ValueError(f"{folder} has {digits} images of one digit; fine-tuning takes at least {LEAST}.")
    return torch.from_numpy(np.stack(images))[:, None], torch.tensor(labels)


def table(before: dict[str, Any], after: dict[str, Any], count: int) -> str:
    """Both figures of each set of validation images, as text. count: of the images held out."""
    rows = [f"{'right':<24} {'before':>8} {'after':>8}"]
    for name, figures in after.items():
        if "accuracy" in figures:
            title = f"your {count}, held out" if name == "own" else f"{name}, validation"
            rows.append(f"{title:<24} {before[name]['accuracy']:>8.2%} {figures['accuracy']:>8.2%}")
    return "\n".join(rows)
