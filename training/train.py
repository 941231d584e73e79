"""Train one network.

A run writes a checkpoint to resume from, the figures of each epoch and the averaged weights into runs/NAME/. With
--seeds N, it writes into runs/seed0/NAME/ and so on. `make models` trains, exports and evaluates all networks.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training import networks
from training.command import command
from training.runs import WEIGHTS, check_new

# Epochs that --from adds, and their learning rate in units of the recipe's: of 2,000 digits of UNIPEN's validation
# writers `faster_rcnn` then reads 54 wrong instead of 64, and of MNIST's 5,000 24 instead of 28.
MORE, LOWER = 4, 0.3


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    result.add_argument("name", metavar="NAME", nargs="?", choices=networks.NAMES, help=", ".join(networks.NAMES))
    says = "train a small network on MNIST in at most two minutes, and export it as models/quick.onnx"
    result.add_argument("--quick", action="store_true", help=says)
    result.add_argument("--epochs", type=positive, help="default: the recipe's")
    result.add_argument("--seed", type=int, default=0, help="default: 0")
    result.add_argument("--seeds", type=positive, metavar="N", help="train N times: SEED, SEED + 1, ...")
    result.add_argument("--sources", choices=("all", "mnist"), default="all", help="'mnist': train on MNIST alone")
    result.add_argument("--weights", help="'imagenet', 'none' or the path of a state dict; default: the recipe's")
    result.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    result.add_argument("--threads", type=positive, help="of the CPU; default: all cores")
    result.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    result.add_argument(
        "--writers", type=Path, help="folder of the other writers' data; default: $WRITERS_ROOT, else data/writers"
    )
    result.add_argument("--out", type=Path, default=Path("runs"), help="default: runs")
    on = result.add_argument_group("training on, with a lower learning rate")
    on.add_argument("--from", dest="checkpoint", type=Path, metavar="CHECKPOINT", help="runs/NAME/averaged.pt")
    on.add_argument("--images", type=Path, metavar="FOLDER", help="one's own, as `quintet evaluate` takes them")
    result.add_argument("--models", type=Path, default=Path("models"), help="of --quick and --images; default: models")
    result.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    return result


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def main(argv: list[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    if (arguments.name is None) != arguments.quick:
        parser().error("give the NAME of a network, or --quick")
    if arguments.images and not arguments.checkpoint:
        parser().error("--images needs --from")
    if arguments.checkpoint and arguments.weights:
        parser().error("--from and --weights exclude each other")
    arguments.name = arguments.name or "quick"
    try:
        check(arguments)
        if arguments.quick:
            learn_quickly(arguments)
        elif arguments.images:
            fine_tune(arguments)
        else:
            train(arguments)
    except (ValueError, FileNotFoundError, FloatingPointError, RuntimeError) as error:
        sys.exit(str(error))


def check(arguments: argparse.Namespace) -> None:
    """Raise an error for what is missing or in the way, before PyTorch is loaded, which takes seconds."""
    from training.data import fetch

    name, out, checkpoint = arguments.name, arguments.out, arguments.checkpoint
    fetch.check(arguments.data, arguments.writers, name == "quick" or arguments.sources == "mnist")
    if checkpoint and not checkpoint.is_file():
        raise FileNotFoundError(f"{checkpoint} is missing; create it with: {command(f'quintet train {name}')}")
    if arguments.images:
        out = out / "own"
    seeds = range(arguments.seed, arguments.seed + (arguments.seeds or 0))
    for folder in [out / f"seed{seed}" for seed in seeds] or [out]:
        check_new(folder / name, arguments.resume)
    if arguments.images:
        from training.measure.folder import labelled

        labelled(arguments.images)


def train(arguments: argparse.Namespace) -> None:
    import torch

    from training.loop import fit, hardware, pick_device
    from training.task import Data

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = recipe_of(arguments)
    device = pick_device(arguments.device)
    data = Data(root=arguments.data, writers=arguments.writers)
    print(f"{arguments.name} on {hardware(device)}, seed {arguments.seed}: {recipe}", flush=True)
    found: dict[str, list[float]] = {}
    for seed in range(arguments.seed, arguments.seed + (arguments.seeds or 1)):
        out = arguments.out if arguments.seeds is None else arguments.out / f"seed{seed}"
        task = networks.task(arguments.name, recipe, device, data)
        metrics = fit(arguments.name, task, seed, out / arguments.name, arguments.resume)
        for name, figure in figures(metrics[-1]["validation"]):
            found.setdefault(name, []).append(figure)
    if arguments.seeds is not None:
        print(json.dumps({name: spread(values) for name, values in found.items()}))


def learn_quickly(arguments: argparse.Namespace) -> None:
    from training.release import export
    from training.task import Data

    train(arguments)
    path = export("quick", arguments.out, arguments.models, Data(root=arguments.data))
    evaluate, serve = command("quintet evaluate"), command("quintet serve")
    print(f"Exported: {path}. `{evaluate} quick` measures it on MNIST's test images.")
    print(f"`{evaluate}` gives it a vote beside the others; then `{serve}` runs it.")


def fine_tune(arguments: argparse.Namespace) -> None:
    """Train on from a checkpoint, into a folder of its own, and print the figures before and after."""
    from training import own
    from training.loop import fit, pick_device
    from training.recipe import DigitRecipe, initialise
    from training.task import Data

    module, checkpoint = networks.load(arguments.name), arguments.checkpoint
    if not isinstance(recipe := recipe_of(arguments), DigitRecipe):
        raise ValueError(f"{arguments.name} names no digits; fine-tune one of: {', '.join(networks.voters())}.")
    recipe = own.recipe_of(recipe, checkpoint, arguments.images, arguments.epochs)
    device = pick_device(arguments.device)
    data = Data(root=arguments.data, writers=arguments.writers)
    task = own.OwnDigits(module, recipe, device, data, arguments.models)
    network = module.Network().to(device)
    initialise(network, arguments.name, str(checkpoint))
    before = task.validate(network)
    out = arguments.out / "own"
    metrics = fit(arguments.name, task, arguments.seed, out / arguments.name, arguments.resume)
    print(own.table(before, metrics[-1]["validation"], len(task.held_out[1])))
    print(f"Written: {out / arguments.name / WEIGHTS}. To serve it beside the others:")
    export = f"quintet export {arguments.name} --runs {out} --as my_{arguments.name}"
    print(" && ".join(map(command, (export, "quintet evaluate", "quintet serve"))))


def recipe_of(arguments: argparse.Namespace) -> Any:
    """The network's recipe with the values that the command line gives."""
    from training.recipe import MNIST_ALONE, run_of

    recipe: Any = networks.load(arguments.name).RECIPE
    if arguments.checkpoint is not None and run_of(str(arguments.checkpoint)) is None:
        raise ValueError(f"{arguments.checkpoint} is not the averaged.pt of a run.")
    if arguments.checkpoint is not None and arguments.images is None:
        recipe = dataclasses.replace(recipe, epochs=MORE, lr=LOWER * recipe.lr, weights=str(arguments.checkpoint))
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    if arguments.sources == "mnist":
        if not hasattr(recipe, "sources"):
            raise ValueError(f"{arguments.name} does not train on the sources of digits; leave out --sources mnist.")
        recipe = dataclasses.replace(recipe, sources=MNIST_ALONE)
    if arguments.weights is not None:
        recipe = dataclasses.replace(recipe, weights=None if arguments.weights == "none" else arguments.weights)
    return recipe


def figures(validation: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """All figures of an epoch by name, such as ("mnist.accuracy", .99)."""
    for name, value in validation.items():
        if isinstance(value, dict):
            yield from figures(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def spread(values: list[float]) -> dict[str, Any]:
    """The values of all seeds, their mean and their standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"values": values, "mean": statistics.mean(values), "deviation": deviation}


if __name__ == "__main__":
    main()
