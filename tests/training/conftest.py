"""Fixtures: all networks, trained for one epoch on typed digits and exported, and made-up data of other writers."""

import dataclasses
import io
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.conftest import HELPERS, RELEASED, VOTERS
from training import networks
from training.data import omniglot
from training.loop import fit
from training.measure.evaluation import evaluate, record, release
from training.recipe import MNIST_ALONE
from training.release import export
from training.task import Data

# The networks here are small, and a second thread waits busily where other programs run: a test takes minutes then.
torch.set_num_threads(1)

WRITERS = 20  # in each made-up set: 14 train, 3 validate, 3 test
KINDS = {"digits": "0123456789", "upper": "AKO", "lower": "kro", "symbols": "+*|", "numbers": ("46", "123")}


@pytest.fixture(scope="session")
def small_writers(tmp_path_factory):
    """A folder in the form of the other writers' data; each sample is a random line of a few strokes."""
    root = tmp_path_factory.mktemp("writers")
    generator = np.random.default_rng(0)
    for part, kinds in KINDS.items():
        write_strokes(root / "unipen" / f"{part}.npz", kinds, 6, generator)
    write_strokes(root / "uji_digits" / "digits.npz", KINDS["digits"], 2, generator)
    bitmaps = np.zeros((60, 32, 32), np.uint8)
    bitmaps[:, :, 12:20] = 1
    parts = np.repeat(["train", "cv", "other_writers"], 20)
    packed = np.packbits(bitmaps, axis=2)
    save(root / "optdigits" / "optdigits.npz", images=packed, label=np.arange(60) % 10, part=parts)
    doodles = np.zeros((40, 28, 28), np.uint8)
    doodles[:, 5:20, 3:25] = generator.integers(0, 2, (40, 15, 22)) * 255
    save(root / "quickdraw" / "doodles.npz", images=doodles, label=np.repeat(["cat", "train"], 20))
    (root / "omniglot").mkdir()
    for name, alphabets in zip(omniglot.FILES, (("Greek", "Balinese"), ("Greek", "Tagalog")), strict=True):
        with zipfile.ZipFile(root / "omniglot" / name, "w") as file:
            for alphabet in alphabets:
                for drawer in range(1, 21):
                    picture = np.full((105, 105), 255, np.uint8)
                    cv2.line(picture, (20, 20 + drawer), (80, 70), 0, 3)
                    png = io.BytesIO(cv2.imencode(".png", picture)[1].tobytes())
                    for character in (1, 2):  # the second character of Greek, beta, is a look-alike
                        entry = f"{Path(name).stem}/{alphabet}/character{character:02}/0001_{drawer:02}.png"
                        file.writestr(entry, png.getvalue())
    write_foreign(root)
    return root


def write_foreign(root):
    """Write the sets that hold no digits into the folder `root`; some of their kinds are look-alikes or held out."""
    generator = np.random.default_rng(1)
    symbols = "latex2e:alpha", "upgreek:upalpha", "latex2e:theta", "latex2e:hash", "marvosym:Heart", "tipa:textsoftsign"
    write_strokes(root / "detexify" / "symbols.npz", symbols, 2, generator, named=False)
    categories = "cat", "circle", "tiger", "smiley face"
    write_strokes(root / "quickdraw345" / "drawings.npz", categories, 2, generator, named=False)
    write_strokes(root / "dollar1" / "gestures.npz", ("arrow", "circle", "pigtail"), 2, generator)
    for folder, file, side in (
        ("quickdraw345", "bitmaps.npz", 28),
        ("typed_signs", "typed.npz", 48),
        ("comnist_first", "letters.npz", 64),
    ):
        images = np.zeros((200, side, side), np.uint8)
        images[:, 5:20, 3:25] = generator.integers(0, 2, (200, 15, 22)) * 255
        label, source = np.tile(["A", "O", "?", "#"], 50), np.repeat(["DejaVuSans.ttf", "ComicNeue-Regular.otf"], 100)
        save(root / folder / file, images=images, label=label, source=source)
    (root / "photos_things").mkdir()
    with zipfile.ZipFile(root / "photos_things" / "photos.zip", "w") as file:
        for name in (*(f"glass/glass{number}.jpg" for number in range(1, 260, 6)), "wallpaper/sunset-1.jpg"):
            picture = cv2.GaussianBlur(generator.integers(0, 256, (96, 96)).astype(np.uint8), (0, 0), 3)
            file.writestr(
                name, cv2.imencode(".jpg", cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX))[1].tobytes()
            )


def write_strokes(path, kinds, times, generator, named=True):
    """Write a file in which each of WRITERS writes each of `kinds` `times` times, in one stroke or two."""
    label = np.tile(np.repeat(list(kinds), times), WRITERS)
    writer = np.repeat(np.arange(WRITERS), times * len(kinds))
    counts = 1 + np.arange(len(label)) % 2
    stroke = np.arange(counts.sum() + 1) * 5
    points = generator.integers(0, 256, (stroke[-1], 2)).astype(np.uint8)
    sample = np.concatenate([[0], counts.cumsum()])
    source = np.full(len(label), "x1")
    writer = writer if named else np.full(len(label), -1)
    save(path, points=points, stroke=stroke, sample=sample, label=label, writer=writer, source=source)


def save(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


@pytest.fixture(scope="session")
def runs(small_mnist, tmp_path_factory):
    """The runs of all networks after one epoch. Their answers are poor, but reproducible.

    alexnet gets four: after one, it gives several digits almost the same probability, and rounding to 8 bits would
    decide between them.
    """
    folder = tmp_path_factory.mktemp("runs")
    for name in VOTERS:
        epochs = 4 if name == "alexnet" else 1
        recipe = networks.load(name).RECIPE
        recipe = dataclasses.replace(recipe, epochs=epochs, batch_size=50, weights=None, sources=MNIST_ALONE)
        fit(name, networks.task(name, recipe, torch.device("cpu"), Data(root=small_mnist)), 0, folder / name)
    return folder


@pytest.fixture(scope="session")
def models(runs, small_mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in VOTERS:
        export(name, runs, folder, Data(root=small_mnist))
    for name in HELPERS:  # these are trained on their own
        shutil.copy(RELEASED / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def evaluated(models, small_mnist, small_writers, tmp_path_factory):
    """The folder of a copy of the models that was evaluated, and the figures; results/ beside it has them recorded."""
    folder = tmp_path_factory.mktemp("evaluated") / "models"
    shutil.copytree(models, folder)
    found, answers = evaluate(VOTERS, folder, Data(root=small_mnist, writers=small_writers))
    release(found, answers, VOTERS, folder, folder)
    record(found, answers, VOTERS, folder.parent / "results")
    return folder, found
