"""Train one network (python -m training.train NAME), or release all of them (python -m training.train --all).

A run writes a checkpoint to resume from, the figures of each epoch and the averaged weights into runs/NAME/. With
--seeds N, it writes into runs/seed0/NAME/ and so on. --all trains, exports and evaluates every network and writes
docs/results.md. It first prints its plan with the expected times, continues where an earlier call was stopped, and
trains --jobs networks at a time with one thread each. `training.loop.devices` explains how to use several devices.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

from training import networks
from training.ink import NAME as INK

NAMES = [*networks.NAMES, INK]


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    result.add_argument("name", metavar="NAME", nargs="?", choices=NAMES, help=", ".join(NAMES))
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
    result.add_argument("--resume", action="store_true", help="continue from the last finished epoch")
    every = result.add_argument_group("all networks")
    every.add_argument("--all", action="store_true", help="train, export, evaluate and report all networks")
    every.add_argument("--jobs", type=positive, default=1, help="networks trained at a time; default: 1")
    every.add_argument("--dry-run", action="store_true", help="print the plan of --all with its times, and stop")
    every.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    every.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    every.add_argument("--images", type=Path, help="folder of labelled images to evaluate too")
    return result


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def main(argv: list[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    if (arguments.name is None) != arguments.all:
        parser().error("give the NAME of one network, or --all")
    try:
        (train_all if arguments.all else train_ink if arguments.name == INK else train_one)(arguments)
    except (ValueError, FileNotFoundError, FloatingPointError, RuntimeError) as error:
        sys.exit(str(error))


def train_one(arguments: argparse.Namespace) -> None:
    import torch

    from training.loop import devices
    from training.loop.fit import Data, fit
    from training.loop.recipe import MNIST_ALONE, Recipe

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe: Recipe = networks.load(arguments.name).RECIPE
    if arguments.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=arguments.epochs)
    if arguments.sources == "mnist":
        recipe = dataclasses.replace(recipe, sources=MNIST_ALONE)
    if arguments.weights is not None:
        recipe = dataclasses.replace(recipe, weights=None if arguments.weights == "none" else arguments.weights)
    device = devices.pick_device(arguments.device)
    data = Data(root=arguments.data, writers=arguments.writers)
    print(f"{arguments.name} on {devices.hardware(device)}, seed {arguments.seed}: {recipe}", flush=True)
    accuracies = []
    for seed in range(arguments.seed, arguments.seed + (arguments.seeds or 1)):
        out = arguments.out if arguments.seeds is None else arguments.out / f"seed{seed}"
        metrics = fit(arguments.name, recipe, seed, device, out / arguments.name, data, arguments.resume)
        accuracies.append(metrics[-1]["validation"]["mnist"]["accuracy"])
    devices.leave()
    if arguments.seeds is not None:
        deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
        spread = {"mean": statistics.mean(accuracies), "deviation": deviation}
        print(json.dumps({"validation_accuracy": accuracies} | spread))


def train_ink(arguments: argparse.Namespace) -> None:
    import torch

    from training.ink.fit import Recipe, fit
    from training.loop import devices
    from training.loop.fit import Data

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    recipe = Recipe() if arguments.epochs is None else Recipe(epochs=arguments.epochs)
    device, data = devices.pick_device(arguments.device), Data(root=arguments.data, writers=arguments.writers)
    print(f"{INK} on {devices.hardware(device)}, seed {arguments.seed}: {recipe}", flush=True)
    fit(recipe, arguments.seed, device, arguments.out / INK, data, arguments.resume)


def train_all(arguments: argparse.Namespace) -> None:
    from training.release.pipeline import Pipeline, describe

    pipeline = Pipeline(
        runs=arguments.out,
        models=arguments.models,
        results=arguments.results,
        data=arguments.data,
        writers=arguments.writers,
        images=arguments.images,
        sources=arguments.sources,
        epochs=arguments.epochs,
        device=arguments.device,
        jobs=arguments.jobs,
    )
    plan = pipeline.plan()
    print(describe(plan, arguments.jobs), flush=True)
    if not arguments.dry_run:
        pipeline.run(plan)


if __name__ == "__main__":
    main()
