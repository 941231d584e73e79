"""Measure the gain of each part of the training data: train one network with everything, then without each part.

All trainings have the same seed, the same short schedule and the same number of images. They are measured on validation
images: MNIST's, the other writers', MNIST's under each degradation, and MNIST's in made photographs that pass through
the service's `canonicalise`. The file of results is written after each training; a training that it holds is skipped.

    nice python -m benchmarks.ablation_training

A difference smaller than the spread of the three seeds of "all" means nothing.
"""

import argparse
import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.photographs import HARDSHIPS, photographed
from service.inference.artefact import open_finder
from service.picture.decode import InvalidImage, grey_from_upload
from service.picture.digit import canonicalise
from service.picture.ink import FILE
from service.settings import Settings
from training import networks
from training.data import mnist
from training.data.augmentation import degrade
from training.data.batches import LOAD, Batches
from training.data.nondigits import several
from training.loop import devices
from training.loop.recipe import MNIST_ALONE, Augment, Recipe
from training.loop.run import Run
from training.loop.validation import REFUSED, Validation, predict

NAME = "cnn"
EPOCHS = 2
PHOTOGRAPHS, SEVERAL, DEGRADED = 60, 500, 1000  # images of each kind
MOVES = ("stroke", "outline")  # fields of `Augment` that change the writing; the others change the picture
AMOUNTS = ("rotate", "shear", "scale", "shift", "elastic")
DEGRADATIONS = [f.name for f in fields(Augment) if f.name not in (*MOVES, *AMOUNTS)]


def variants(recipe: Recipe) -> dict[str, tuple[Recipe, int]]:
    """Recipe and seed of each training, the most informative first."""

    def without(*left_out: str) -> tuple[Recipe, int]:
        return replace(recipe, augment=replace(recipe.augment, **dict.fromkeys(left_out))), 0

    found = {"all": (recipe, 0), "all, seed 1": (recipe, 1), "all, seed 2": (recipe, 2)}
    found["MNIST alone"] = replace(recipe, sources=MNIST_ALONE), 0
    found["without any degradation"] = without(*DEGRADATIONS)
    found["without several"] = replace(recipe, several=None), 0
    return found | {f"without {name}": without(name) for name in (*MOVES, *DEGRADATIONS)}


def photographs(root: Path | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Validation digits in made photographs of every kind, prepared by the service's `canonicalise`."""
    images, labels = (tensor.numpy() for tensor in mnist.load("validation", root))
    settings, generator = Settings(), np.random.default_rng(0)
    finder = open_finder(settings.models / FILE, threads=1)
    seen, kept = [], []
    for hardship in HARDSHIPS:
        for row in generator.integers(0, len(images), PHOTOGRAPHS):
            file = photographed(hardship, images[row], generator)
            try:
                picture, _ = grey_from_upload(file, settings.max_pixels, settings.formats)
                seen.append(canonicalise(picture, finder).image)
            except InvalidImage:
                continue
            kept.append(labels[row])
    return torch.from_numpy(np.stack(seen))[:, None], torch.tensor(kept)


def measure(
    network: torch.nn.Module, validation: Validation, pictures: tuple[torch.Tensor, torch.Tensor]
) -> dict[str, Any]:
    """Every figure of one training, as shares."""
    found: dict[str, Any] = dict(validation.measure(network))
    nothing: dict[str, Any] = dict.fromkeys([*MOVES, *DEGRADATIONS])
    images, labels = validation.sets["mnist"]
    threshold = float(predict(network, images).softmax(1).amax(1).double().quantile(REFUSED))
    found["degraded_accuracy"] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = (several(mnist.to_unit(images[:SEVERAL])) * 255).round().to(torch.uint8)
        found["several_refused"] = (predict(network, made).softmax(1).amax(1) < threshold).float().mean().item()
        for kind in DEGRADATIONS:
            torch.manual_seed(0)
            changed = degrade(mnist.to_unit(images[:DEGRADED]), Augment(**nothing | {kind: 1.0}))
            digits = predict(network, (changed * 255).round().to(torch.uint8)).argmax(1)
            found["degraded_accuracy"][kind] = (digits == labels[:DEGRADED]).float().mean().item()
    logits = predict(network, pictures[0])
    found["photographs"] = {
        "accuracy": (logits.argmax(1) == pictures[1]).float().mean().item(),
        "refused": (logits.softmax(1).amax(1) < threshold).float().mean().item(),
    }
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--writers", type=Path, help="folder of the other writers; default: $WRITERS_ROOT")
    parser.add_argument("--results", type=Path, default=Path("results/ablation_training.json"))
    arguments = parser.parse_args(argv)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    device = torch.device("cpu")
    recipe = replace(networks.load(NAME).RECIPE, epochs=EPOCHS, mild_epochs=1)
    try:
        validation = Validation(device, list(LOAD), arguments.data, arguments.writers)
        pictures = photographs(arguments.data)
    except FileNotFoundError as error:
        sys.exit(str(error))
    path: Path = arguments.results
    found = json.loads(path.read_text()) if path.exists() else {"trainings": {}}
    found["setting"] = {
        "network": NAME,
        "epochs": EPOCHS,
        "hardware": devices.hardware(device),
        "torch": str(torch.__version__),
        "images": {name: len(labels) for name, (_, labels) in validation.sets.items()}
        | {"photographs": len(pictures[1])},
    }
    for title, (varied, seed) in variants(recipe).items():
        if title in found["trainings"]:
            continue
        batches = Batches(varied.sources, varied.batch_size, device, arguments.data, arguments.writers)
        run = Run(NAME, varied, seed, device, batches.steps)
        while run.epoch < EPOCHS:
            run.train_epoch(batches)
        found["trainings"][title] = measure(run.averaged, validation, pictures)
        path.write_text(json.dumps(found, indent=1) + "\n")
        print(title, json.dumps(found["trainings"][title]), flush=True)


if __name__ == "__main__":
    main()
