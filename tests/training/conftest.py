"""Five networks, trained for an epoch on typed digits and exported once for all tests here."""

import dataclasses

import pytest
import torch

from training import networks
from training.export import export
from training.train import train


@pytest.fixture(scope="session")
def runs(small_mnist, tmp_path_factory):
    """One epoch of each network: what they say is worthless, but it is theirs.

    alexnet gets more: 8 bits would decide between digits that it holds for equally likely.
    """
    folder = tmp_path_factory.mktemp("runs")
    for name in networks.NAMES:
        epochs = 4 if name == "alexnet" else 1
        recipe = dataclasses.replace(networks.load(name).RECIPE, epochs=epochs, batch_size=50, weights=None)
        train(name, recipe, 0, torch.device("cpu"), folder / name, small_mnist)
    return folder


@pytest.fixture(scope="session")
def models(runs, small_mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name in networks.NAMES:
        export(name, runs, folder, small_mnist)
    return folder
