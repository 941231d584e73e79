import json

import numpy as np
import pytest

from benchmarks import offline


def test_each_model_is_measured_in_each_engine(small_models, small_mnist, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("MNIST_ROOT", str(small_mnist))
    monkeypatch.setattr(offline, "BATCHES", (1, 4))
    monkeypatch.setattr(offline, "COMPILED", ())
    offline.main(["--calls", "3", "--torch", "--plot", str(tmp_path / "plot.png")])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    cases = {(row["engine"], row["model"], row["batch"]) for row in result["rows"]}
    assert len(cases) == len(result["rows"]) == 4 * 2 + 3 * 2
    assert {("onnxruntime", "all", 4), ("eager", "faster_rcnn", 1)} <= cases
    assert result["setting"]["images"] == "MNIST test set, n = 100"
    assert result["accuracy"]["vit"] == pytest.approx(0.1)  # says 1 of everything
    assert (tmp_path / "plot.png").stat().st_size > 0


def test_without_mnist_it_is_noise_and_no_accuracy(monkeypatch, tmp_path):
    def missing(_split):
        raise FileNotFoundError

    monkeypatch.setattr("training.data.mnist.load", missing)
    images, labels = offline.pictures()
    assert images.shape[1:] == (1, 28, 28) and images.dtype == np.uint8 and labels is None
