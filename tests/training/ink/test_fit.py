import numpy as np
import onnxruntime
import pytest
import torch

from service.picture.ink import FILE, InkFinder
from training import export as export_command
from training import train as train_command
from training.ink import fit as module
from training.ink.fit import Recipe, fit, loss_of
from training.ink.network import Network
from training.loop.fit import WEIGHTS, Data
from training.release import ink as release

RECIPE = Recipe(epochs=2, steps=2, batch_size=2, size=64)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(small_mnist, small_writers):
    return Data(root=small_mnist, writers=small_writers)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "VALIDATION", 2)


def weights(folder):
    return torch.load(folder / WEIGHTS, weights_only=True)["network"]


def test_a_stopped_training_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = fit(RECIPE, 0, CPU, tmp_path / "whole", data)
    real, calls = module.measure, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "measure", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(RECIPE, 0, CPU, tmp_path / "broken", data)
    monkeypatch.setattr(module, "measure", real)
    resumed = fit(RECIPE, 0, CPU, tmp_path / "broken", data, resume=True)
    assert [line["epoch"] for line in resumed] == [line["epoch"] for line in whole] == [1, 2]
    assert whole[1]["validation"].keys() == {"missed", "invented"}
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in weights(tmp_path / "broken").items())


def test_a_run_is_not_overwritten_and_not_continued_with_other_settings(data, tmp_path):
    fit(RECIPE, 0, CPU, tmp_path, data)
    with pytest.raises(ValueError, match="--resume"):
        fit(RECIPE, 0, CPU, tmp_path, data)
    with pytest.raises(ValueError, match="other settings"):
        fit(RECIPE, 1, CPU, tmp_path, data, resume=True)


def test_loss_is_least_for_the_truth():
    ink = torch.zeros(1, 1, 8, 8)
    ink[..., 3:5] = 1
    right, wrong, none = 20 * ink - 10, 10 - 20 * ink, torch.full_like(ink, -10)
    assert loss_of(right, ink, Recipe()) < loss_of(none, ink, Recipe()) < loss_of(wrong, ink, Recipe())


def test_the_commands_train_and_write_a_file_that_the_service_takes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "Recipe", lambda epochs: Recipe(epochs=epochs, steps=3, batch_size=2, size=64))
    where = ["--data", str(data.root), "--writers", str(data.writers), "--device", "cpu"]
    train_command.main(["ink", "--epochs", "1", "--out", str(tmp_path / "runs"), *where])
    export_command.main(["ink", "--runs", str(tmp_path / "runs"), "--models", str(tmp_path)])
    ink, scale = InkFinder(tmp_path / FILE).find(np.full((50, 70), 200, np.uint8), 140)
    assert ink.shape == (100, 140) and scale == 2
    metadata = onnxruntime.InferenceSession(tmp_path / FILE).get_modelmeta().custom_metadata_map
    assert metadata["name"] == "ink" and int(metadata["parameters"]) == sum(p.numel() for p in Network().parameters())


def test_export_without_a_training_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m training\.train ink"):
        release.export(tmp_path, tmp_path)
