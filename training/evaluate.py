"""Measure the artefacts of models/ and fix their consensus: python -m training.evaluate.

The test set is opened here, by training.runs, training.report and the benchmarks; training.train and training.export,
which choose, never do. Each artefact's figures go into its own metadata; the temperature, the threshold
and the file hashes that the service goes by go into models/consensus.json; all that was measured goes into results/,
for training.report. All is chosen on the validation images. With NAMES it only measures these and writes nothing.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from tqdm import tqdm

from service.inference.artefact import UnusableArtefact, open_artefact
from service.inference.consensus import FILE, choices, key, mean_probabilities
from service.picture.digit import canonicalise
from training.data import mnist
from training.data.nondigits import NONE, spoil
from training.export import MODELS, set_properties
from training.loop.recipe import NonDigits
from training.measure import detection, folder, numbers
from training.measure.figures import figures, intervals, separation
from training.release.calibration import temperature

RESULTS = Path("results")
MEASURED = "evaluation.json"
PROBABILITIES = "test_probabilities.npz"  # what each model said of each test image, float16
BATCH = 250
PART = 256  # digits that are made to non-digits together, as in training
REFUSED = 0.001  # share of the validation digits that may be refused; of other writers' it is a few times as many
CONSENSUS = "consensus"


def probabilities_of(artefact, images, title=""):
    """(N, 10) float32 for images (N, 1, 28, 28) uint8, through the file that is released."""
    parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
    bar = tqdm(parts, desc=f"{artefact.name} {title}")
    return np.concatenate([artefact.session.run(["probabilities"], {"images": part})[0] for part in bar])


def image_sets(root=None, images=None):
    """What is measured: {name: (images (N, 1, 28, 28) uint8, labels (N,))}, and the folder `images` if there is one.

    "nondigits" are made of test digits by `training.data.nondigits`, of kinds that were trained on; "load_digits" are
    scikit-learn's 1,797 digits of 8x8 pixels, which pass through the service's canonicaliser.
    """
    sets = {split: tuple(t.numpy() for t in mnist.load(split, root)) for split in ("validation", "test")}
    sets["nondigits"] = _nondigits(*sets["test"])
    small = load_digits()
    seen = np.stack([canonicalise(np.uint8(image * (255 / 16))).image for image in small.images])
    sets["load_digits"] = seen[:, None], small.target
    if images is None:
        return sets, None
    own = folder.load(images)
    sets["images"] = own.images, own.labels[: len(own.images)]
    return sets, own


def _nondigits(images, labels):
    """As many of each kind, less what stayed a digit, which is left out: fewer of the turned and of the swapped."""
    names = [field.name for field in dataclasses.fields(NonDigits)]
    kinds = NonDigits(**dict.fromkeys(names, 1 / len(names)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        digits = mnist.to_unit(torch.from_numpy(images))
        parts = zip(digits.split(PART), torch.from_numpy(labels).split(PART), strict=True)
        made, labels = map(torch.cat, zip(*(spoil(*part, kinds) for part in parts), strict=True))
    made = (made[labels == NONE] * 255).round().to(torch.uint8).numpy()
    return made, np.full(len(made), NONE)


def fit(answers, labels):
    """The temperature and the threshold of every choice of models, on validation images.

    answers: {name: probabilities (N, 10)}. Returns two dicts by `service.inference.consensus.key`.
    """
    temperatures, thresholds = {}, {}
    for choice in choices(answers):
        stacked = np.stack([answers[name] for name in choice.split(",")])
        # A single model is calibrated already, inside its graph.
        fitted = 1.0 if len(stacked) == 1 else temperature(np.log(mean_probabilities(stacked)), labels)
        temperatures[choice] = round(fitted, 4)
        confidences = mean_probabilities(stacked, temperatures[choice]).max(1)
        thresholds[choice] = round(float(np.quantile(confidences, REFUSED)), 4)
    return temperatures, thresholds


def describe(answers, sets, threshold, own):
    """Every figure of one model or of the consensus. answers: {set: probabilities (N, 10)}."""
    confidences = {name: probabilities.max(1) for name, probabilities in answers.items()}
    result = {split: figures(answers[split], sets[split][1]) for split in ("validation", "test")}
    result["load_digits"] = float((answers["load_digits"].argmax(1) == sets["load_digits"][1]).mean())
    result["refusal"] = {
        "threshold": threshold,
        "digits_refused": float((confidences["test"] < threshold).mean()),
        "nondigits_refused": float((confidences["nondigits"] < threshold).mean()),
        "auroc": separation(confidences["test"], confidences["nondigits"]),
    }
    if own is not None:
        result["images"] = own.figures(answers["images"], threshold)
    return result


def evaluate(names, models=MODELS, root=None, images=None, results=None):
    """Measure the artefacts `names`; with a folder `results` they are all of `models`, and everything is written.

    images: a folder of labelled images, or None. Returns {name: figures}, the consensus of all among them.
    """
    sets, own = image_sets(root, images)
    answers, found, of_pages = {}, {}, {}
    canvases = detection.pages(*mnist.load("test", root))
    for name in names:
        artefact = open_artefact(models / f"{name}.onnx", "cpu", os.cpu_count())
        answers[name] = {title: probabilities_of(artefact, part, title) for title, (part, _) in sets.items()}
        if "boxes" in artefact.outputs:
            boxes, scores = detection.find(artefact.session, canvases[0])
            of_pages[name] = {"detection": detection.precision(boxes, scores, canvases[1])}
    temperatures, thresholds = fit({n: answers[n]["validation"] for n in names}, sets["validation"][1])
    for name in names:
        found[name] = describe(answers[name], sets, thresholds[name], own) | of_pages.get(name, {})
    everyone = key(names)
    together = {
        title: mean_probabilities(np.stack([answers[name][title] for name in names]), temperatures[everyone])
        for title in sets
    }
    found[CONSENSUS] = describe(together, sets, thresholds[everyone], own)
    found[CONSENSUS]["test_intervals"] = intervals(together["test"], sets["test"][1])
    if results is not None:
        for name in names:
            write_figures(models / f"{name}.onnx", found[name])
        write_consensus(models, temperatures, thresholds, found[CONSENSUS])
        if images is not None and (read := numbers.measure(images, models)):
            found[CONSENSUS]["numbers"] = read
        results.mkdir(exist_ok=True)
        saved = {name: answers[name]["test"].astype(np.float16) for name in names}
        saved |= {CONSENSUS: together["test"].astype(np.float16), "labels": np.uint8(sets["test"][1])}
        np.savez_compressed(results / PROBABILITIES, **saved)
        (results / MEASURED).write_text(json.dumps(_rounded(found), indent=1) + "\n")
    return found


def write_figures(path, found):
    """Put the validation and test figures into the metadata of an artefact, atomically."""
    model = onnx.load(path)
    properties = {p.key: p.value for p in model.metadata_props}
    for split in ("validation", "test"):
        properties |= {f"{split}_{name}": round(value, 6) for name, value in found[split].items()}
    for name, value in found.get("detection", {}).items():
        properties[f"test_{name}"] = round(value, 6)
    set_properties(model, properties)
    partial = path.with_name(f".{path.name}.partial")
    onnx.save(model, partial)
    os.replace(partial, path)


def write_consensus(models, temperatures, thresholds, found):
    """Write models/consensus.json for all artefacts of the folder, atomically."""
    values = found["test"] | {"accepted": 1 - found["refusal"]["digits_refused"]}
    paths = sorted(models.glob("*.onnx"))
    content = {
        "sha256": {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        "temperature": temperatures,
        "threshold": thresholds,
        "figures": {f"test_{name}": round(value, 6) for name, value in values.items()},
    }
    partial = models / f".{FILE}.partial"
    partial.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(partial, models / FILE)


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def table(found):
    """For people: MNIST, other digits, refusal."""
    head = "model         accuracy  macro F1    loss    ECE  load_digits  digits refused  nondigits refused  AUROC"
    lines = [head]
    for name, values in found.items():
        test, refusal = values["test"], values["refusal"]
        lines.append(
            f"{name:<12} {test['accuracy']:>9.2%} {test['macro_f1']:>9.4f} {test['loss']:>7.4f} {test['ece']:>6.4f} "
            f"{values['load_digits']:>12.2%} {refusal['digits_refused']:>15.2%} {refusal['nondigits_refused']:>18.2%} "
            f"{refusal['auroc']:>6.4f}"
        )
    for name, values in found.items():
        if "detection" in values:
            d = values["detection"]
            lines.append(f"{name}: AP {d['ap']:.4f}, AP50 {d['ap50']:.4f}, AP75 {d['ap75']:.4f} on {d['pages']} pages")
        if "images" in values:
            own = values["images"]
            text = f"{name}, own images:"
            if own["digits"]:
                text += f" {own['accuracy']:.1%} of {own['digits']} digits right, {own['digits_refused']:.1%} refused;"
            if own["others"]:
                text += f" {own['others_refused']:.1%} of {own['others']} others refused"
            lines.append(text)
    if read := found[CONSENSUS].get("numbers"):
        for kind in ("line", "page"):
            if read[f"{kind}s"]:
                lines.append(
                    f"numbers: {read[f'{kind}s_exact']:.1%} of {read[f'{kind}s']} {kind}s exactly read, "
                    f"{read[f'{kind}_character_errors']:.1%} character errors"
                )
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", metavar="NAME", nargs="*", help="measure only these and write nothing")
    parser.add_argument("--models", type=Path, default=MODELS, help="default: models")
    parser.add_argument("--data", type=Path, help="folder that holds MNIST/; default: $MNIST_ROOT, else data")
    parser.add_argument("--images", type=Path, help="folder of labelled images: an index.csv, or folders 0 to 9")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: results")
    arguments = parser.parse_args(argv)
    names = arguments.names or sorted(path.stem for path in arguments.models.glob("*.onnx"))
    results = None if arguments.names else arguments.results
    try:
        if not names:
            raise UnusableArtefact(f"{arguments.models} holds no artefact; create one with: python -m training.export")
        found = evaluate(names, arguments.models, arguments.data, arguments.images, results)
    except (FileNotFoundError, UnusableArtefact) as error:
        sys.exit(str(error))
    print(table(found))
    print(json.dumps(_rounded(found)))


if __name__ == "__main__":
    main()
