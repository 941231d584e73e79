import json

import pytest

from benchmarks import time_to_accuracy, training
from training import networks


@pytest.mark.slow
def test_speed_of_both_loops_is_measured(small_mnist, capsys, monkeypatch):
    monkeypatch.setattr(training, "WARM_UP", 1)
    training.main(["cnn", "vit", "--steps", "1", "--device", "cpu", "--data", str(small_mnist)])
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert list(rows) == ["cnn", "vit"]
    for row in rows.values():
        assert row["images_per_sec"] > 0 and row["plain_images_per_sec"] > 0
        assert row["augmentation_share"] > 0


def test_unknown_network_is_refused(small_mnist):
    with pytest.raises(SystemExit) as error:
        training.main(["nonsense", "--data", str(small_mnist)])
    assert error.value.code == f"Unknown network 'nonsense'; known networks: {', '.join(networks.NAMES)}."


def test_every_seed_is_reported(small_mnist, capsys, monkeypatch):
    monkeypatch.setattr(time_to_accuracy, "BATCH", 50)
    monkeypatch.setitem(time_to_accuracy.RECIPES, "99.5", time_to_accuracy.Recipe(epochs=1, shift=1, seeds=2))
    time_to_accuracy.main(["--goal", "99.5", "--device", "cpu", "--data", str(small_mnist)])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [run["seed"] for run in summary["runs"]] == [0, 1]
    mean = sum(run["accuracy"] for run in summary["runs"]) / 2
    assert summary["accuracy_mean"] == pytest.approx(mean) and mean > 0.3
    assert summary["seconds_mean"] > 0
