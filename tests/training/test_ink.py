import numpy as np
import onnxruntime
import pytest
import torch

from service.inference.artefact import open_finder
from service.picture.ink import FILE
from training import export as export_command
from training import networks
from training import train as train_command
from training.loop import fit
from training.networks import ink as module
from training.networks.ink import InkRecipe, Network, loss_of
from training.runs import WEIGHTS
from training.task import Data

RECIPE = InkRecipe(epochs=1, steps=3, batch_size=2, size=64, lr=4e-3)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(small_mnist, small_writers):
    return Data(root=small_mnist, writers=small_writers)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "VALIDATION", 2)


def test_the_same_seed_gives_the_same_weights(data, tmp_path):
    lines = [fit("ink", networks.task("ink", RECIPE, CPU, data), 0, tmp_path / name)[0] for name in ("one", "other")]
    assert lines[0]["train_loss"] == lines[1]["train_loss"]
    assert lines[0]["validation"] == lines[1]["validation"] and lines[0]["validation"].keys() == {"missed", "invented"}
    one, other = (torch.load(tmp_path / name / WEIGHTS, weights_only=True)["network"] for name in ("one", "other"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_loss_is_least_for_the_truth():
    ink = torch.zeros(1, 1, 8, 8)
    ink[..., 3:5] = 1
    right, wrong, none = 20 * ink - 10, 10 - 20 * ink, torch.full_like(ink, -10)
    assert loss_of(right, ink, RECIPE) < loss_of(none, ink, RECIPE) < loss_of(wrong, ink, RECIPE)


def test_the_commands_train_and_write_a_file_that_the_service_takes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECIPE", RECIPE)
    where = ["--data", str(data.root), "--writers", str(data.writers), "--device", "cpu"]
    train_command.main(["ink", "--epochs", "1", "--out", str(tmp_path / "runs"), *where])
    export_command.main(["ink", "--runs", str(tmp_path / "runs"), "--models", str(tmp_path)])
    ink, scale = open_finder(tmp_path / FILE).find(np.full((50, 70), 200, np.uint8), 140)
    assert ink.shape == (100, 140) and scale == 2
    metadata = onnxruntime.InferenceSession(tmp_path / FILE).get_modelmeta().custom_metadata_map
    assert metadata["name"] == "ink" and int(metadata["parameters"]) == sum(p.numel() for p in Network().parameters())
