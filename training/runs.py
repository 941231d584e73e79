"""Record every run below a folder, with its test figures: python -m training.runs [FOLDER].

Reads runs/**/best.pt and metrics.jsonl and writes results/runs.json: settings, hardware, the figures of each epoch, and
those of the kept epoch on validation and test images, measured in PyTorch before anything is exported. All runs are
reported; which one is released is chosen by its validation figures alone.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from training import networks
from training.data import mnist
from training.evaluate import RESULTS
from training.loop import history
from training.loop.weights import with_start
from training.measure.figures import figures
from training.train import predict

RECORD = "runs.json"


def describe(folder, splits):
    """One run as a dict. splits: {"validation": (images, labels), "test": ...}."""
    best = with_start(torch.load(folder / "best.pt", map_location="cpu", weights_only=True))
    settings = best["settings"]
    recipe = dict(settings["recipe"])
    del recipe["weights"]  # a path, of which "initial_weights" says what is there
    network = networks.load(settings["name"]).Network()
    network.load_state_dict(best["network"])
    metrics = history.read(folder)
    result = {
        "name": settings["name"],
        "seed": settings["seed"],
        "initial_weights": best["initial_weights"],
        "earlier_seconds": best["earlier_seconds"],
        "recipe": recipe,
        "epochs": recipe["epochs"],
        "finished": len(metrics) == recipe["epochs"],
        "best_epoch": history.best_of(metrics)["epoch"],
        "seconds": history.duration(metrics),
        "hardware": best["hardware"],
        "torch": best["torch"],
        "commit": best["commit"],
        "metrics": metrics,
    }
    for split, (images, labels) in splits.items():
        probabilities = predict(network, images).softmax(1).numpy()
        result[split] = {name: round(value, 6) for name, value in figures(probabilities, labels.numpy()).items()}
    return result


def collect(folder, root=None):
    """Every run below `folder`, in the order of their names and seeds. Raises FileNotFoundError if there is none."""
    found = sorted(path.parent for path in folder.glob("**/best.pt"))
    if not found:
        raise FileNotFoundError(f"{str(folder)!r} holds no run; start one with: python -m training.train NAME")
    splits = {split: mnist.load(split, root) for split in ("validation", "test")}
    runs = [describe(path, splits) for path in tqdm(found, desc="runs")]
    return sorted(runs, key=lambda run: (run["name"], run["initial_weights"], run["seed"]))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="default: runs")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: results")
    arguments = parser.parse_args(argv)
    try:
        runs = collect(arguments.folder, arguments.data)
    except FileNotFoundError as error:
        sys.exit(str(error))
    arguments.results.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(run) for run in runs)  # a line each, so that a change shows which run it is
    (arguments.results / RECORD).write_text(f"[\n{lines}\n]\n")
    for run in runs:
        accuracy = run["test"]["accuracy"]
        print(f"{run['name']:<12} seed {run['seed']} from {run['initial_weights']}: test accuracy {accuracy:.2%}")


if __name__ == "__main__":
    main()
