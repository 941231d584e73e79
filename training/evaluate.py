"""Measure the artefacts of models/ and fix their consensus: python -m training.evaluate.

The only place that opens the test set. Each artefact's figures go into its own metadata; the temperature, the threshold
and the file hashes that the service goes by go into models/consensus.json. All is chosen on the validation images.
With NAMEs it only measures these and writes nothing.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
from sklearn.metrics import f1_score
from tqdm import tqdm

from service.artefact import UnusableArtefact, open_artefact
from service.consensus import FILE, choices, key, mean_probabilities
from training import data
from training.calibrate import temperature
from training.export import MODELS, set_properties

BATCH = 250
SMALLEST = 1e-12  # probability, so that a loss is finite
REFUSED = 0.002  # share of the validation digits that the consensus may refuse


def probabilities_of(artefact, images):
    """(N, 10) float32 for images (N, 1, 28, 28) uint8, through the file that is released."""
    parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    return np.concatenate(
        [artefact.session.run(["probabilities"], {"images": part})[0] for part in tqdm(parts, desc=artefact.name)]
    )


def figures(probabilities, labels):
    """Accuracy, macro F1 and loss (negative log-likelihood, nats) of probabilities (N, 10)."""
    digits = probabilities.argmax(1)
    return {
        "accuracy": float((digits == labels).mean()),
        "macro_f1": float(f1_score(labels, digits, average="macro")),
        "loss": float(-np.log(probabilities[np.arange(len(labels)), labels].clip(SMALLEST)).mean()),
    }


def write_figures(path, by_split):
    """Put {"validation": figures, "test": figures} into the metadata of an artefact, atomically."""
    model = onnx.load(path)
    properties = {p.key: p.value for p in model.metadata_props}
    for split, values in by_split.items():
        properties |= {f"{split}_{name}": round(value, 6) for name, value in values.items()}
    set_properties(model, properties)
    partial = path.with_name(f".{path.name}.partial")
    onnx.save(model, partial)
    os.replace(partial, path)


def write_consensus(models, validation, labels, test, test_labels):
    """Fix the consensus of every choice of models. validation, test: {name: probabilities (N, 10)}."""
    temperatures, thresholds = {}, {}
    for choice in choices(validation):
        stacked = np.stack([validation[name] for name in choice.split(",")])
        # A single model is calibrated already, inside its graph.
        fitted = 1.0 if len(stacked) == 1 else temperature(np.log(mean_probabilities(stacked)), labels)
        temperatures[choice] = round(fitted, 4)
        confidences = mean_probabilities(stacked, temperatures[choice]).max(1)
        thresholds[choice] = round(float(np.quantile(confidences, REFUSED)), 4)
    everyone = key(test)
    together = mean_probabilities(np.stack([test[name] for name in sorted(test)]), temperatures[everyone])
    accepted = together.max(1) >= thresholds[everyone]
    values = figures(together, test_labels) | {"accepted": float(accepted.mean())}
    content = {
        "sha256": {n: hashlib.sha256((models / f"{n}.onnx").read_bytes()).hexdigest() for n in sorted(test)},
        "temperature": temperatures,
        "threshold": thresholds,
        "figures": {f"test_{name}": round(value, 6) for name, value in values.items()},
    }
    partial = models / f".{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, models / FILE)
    return values


def evaluate(names, models=MODELS, root=None, write=True):
    """Measure the artefacts `names`, which are all of `models` if it is to `write`. Returns {name: test figures}."""
    images, labels = (tensor.numpy() for tensor in data.load("validation", root))
    test_images, test_labels = (tensor.numpy() for tensor in data.load("test", root))
    found, validation, test = {}, {}, {}
    for name in names:
        path = models / f"{name}.onnx"
        artefact = open_artefact(path, "cpu", os.cpu_count())
        validation[name] = probabilities_of(artefact, images)
        test[name] = probabilities_of(artefact, test_images)
        found[name] = figures(test[name], test_labels)
        if write:
            write_figures(path, {"validation": figures(validation[name], labels), "test": found[name]})
    if write:
        found["consensus"] = write_consensus(models, validation, labels, test, test_labels)
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="measure only these and write nothing")
    parser.add_argument("--models", type=Path, default=MODELS, help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    arguments = parser.parse_args(argv)
    names = arguments.names or sorted(path.stem for path in arguments.models.glob("*.onnx"))
    try:
        if not names:
            raise UnusableArtefact(f"{arguments.models} holds no artefact; create one with: python -m training.export")
        found = evaluate(names, arguments.models, arguments.data, write=not arguments.names)
    except (FileNotFoundError, UnusableArtefact) as error:
        sys.exit(str(error))
    print(f"{'model':<12} {'accuracy':>9} {'macro F1':>9} {'loss':>8}   MNIST test set, n = 10,000")
    for name, values in found.items():
        print(f"{name:<12} {values['accuracy']:>9.2%} {values['macro_f1']:>9.4f} {values['loss']:>8.4f}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
