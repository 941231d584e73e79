import dataclasses
import json
import subprocess
import sys

import pytest
import torch

from tests.conftest import REPOSITORY
from training import networks
from training.loop.history import duration, read
from training.loop.weights import initialise, with_start
from training.train import main, pick_device, train

CPU = torch.device("cpu")
SHORT = dataclasses.replace(networks.load("cnn").RECIPE, epochs=3, batch_size=50)


def weights(folder):
    return torch.load(folder / "best.pt", weights_only=True)["network"]


def test_a_run_leaves_checkpoint_metrics_and_best(small_mnist, tmp_path):
    metrics = train("cnn", SHORT, 0, CPU, tmp_path, small_mnist)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == metrics
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["validation_accuracy"] > 0.5 > lines[-1]["validation_loss"] / 10
    assert all(line["seconds"] > 0 for line in lines)
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert {"hardware", "torch", "commit"} <= set(best)
    assert best["metrics"][-1]["validation_loss"] == min(line["validation_loss"] for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "checkpoint.pt", "metrics.jsonl"]


def test_a_killed_run_resumes_to_the_same_end(small_mnist, tmp_path, monkeypatch):
    train("cnn", SHORT, 7, CPU, tmp_path / "whole", small_mnist)
    from training.train import Run

    whole = Run.train_epoch

    def killed_in_the_third(run, images, labels):
        if len(run.metrics) == 2:
            raise KeyboardInterrupt
        return whole(run, images, labels)

    monkeypatch.setattr(Run, "train_epoch", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        train("cnn", SHORT, 7, CPU, tmp_path / "broken", small_mnist)
    monkeypatch.setattr(Run, "train_epoch", whole)
    metrics = train("cnn", SHORT, 7, CPU, tmp_path / "broken", small_mnist, resume=True)
    assert len(metrics) == 3
    expected, found = (torch.load(tmp_path / n / "checkpoint.pt", weights_only=True) for n in ("whole", "broken"))
    for key, value in expected["network"].items():
        assert torch.allclose(value.float(), found["network"][key].float(), atol=1e-5), key


def test_an_existing_run_is_not_overwritten(small_mnist, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"precious")
    with pytest.raises(ValueError, match="exists; continue it with --resume"):
        train("cnn", SHORT, 0, CPU, tmp_path, small_mnist)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"precious"


def test_resuming_with_other_settings_is_refused(small_mnist, tmp_path):
    train("cnn", dataclasses.replace(SHORT, epochs=1), 0, CPU, tmp_path, small_mnist)
    with pytest.raises(ValueError, match="other settings"):
        train("cnn", SHORT, 0, CPU, tmp_path, small_mnist, resume=True)


def test_nan_loss_stops_with_the_epoch(small_mnist, tmp_path, monkeypatch):
    network = networks.load("cnn").Network
    monkeypatch.setattr(network, "loss", lambda self, images, *_: self(images).sum() * float("nan"))
    with pytest.raises(FloatingPointError, match="cnn: the loss became NaN in epoch 1"):
        train("cnn", SHORT, 0, CPU, tmp_path, small_mnist)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["resnet"], "Unknown network 'resnet'; known networks: alexnet, cnn, faster_rcnn, vgg16, vit."),
        (["cnn", "--epochs", "0"], "--epochs 0: at least 1."),
        (["cnn", "--lr", "0"], "--lr 0.0: a positive number."),
        (["cnn", "--lr", "nan"], "--lr nan: a positive number."),
        (
            ["cnn", "--weights", "imagenet"],
            "--weights: cnn is trained from scratch; it starts from a run of its own or from none.",
        ),
        (
            ["vgg16", "--weights", __file__],
            f"--weights {__file__!r} is no state dict that PyTorch can load.",
        ),
        (
            ["vgg16", "--weights", "nowhere.pt"],
            "--weights 'nowhere.pt' is no file; give 'imagenet', 'none' or a state dict's path.",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, message, small_mnist, tmp_path):
    with pytest.raises(SystemExit) as error:
        main([*arguments, "--data", str(small_mnist), "--out", str(tmp_path)])
    assert error.value.code == message


def test_cuda_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--device cuda: PyTorch finds no CUDA device"):
        pick_device("cuda")
    assert pick_device("auto") == CPU


def test_fine_tuning_starts_from_the_weights_of_a_file(tmp_path):
    network = networks.load("alexnet").Network()
    state = {f"features.{key}": torch.full_like(value, 0.5) for key, value in network.features.state_dict().items()}
    torch.save(state, tmp_path / "features.pt")
    network.load_weights(str(tmp_path / "features.pt"))
    assert all((value == 0.5).all() for value in network.features.state_dict().values())


def test_a_run_goes_on_from_an_earlier_one_and_its_time_is_counted(small_mnist, tmp_path):
    train("cnn", SHORT, 0, CPU, tmp_path / "first", small_mnist)
    source = str(tmp_path / "first" / "best.pt")
    network = networks.load("cnn").Network()
    start = initialise(network, "cnn", source)
    assert all(torch.equal(value, weights(tmp_path / "first")[key]) for key, value in network.state_dict().items())
    train("cnn", dataclasses.replace(SHORT, epochs=1, weights=source), 0, CPU, tmp_path / "second", small_mnist)
    first, second = (torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("first", "second"))
    assert first["initial_weights"] == "random" and first["earlier_seconds"] == 0
    assert second["initial_weights"] == f"random, {SHORT.epochs} epochs by {first['commit'][:7]}"
    assert second["earlier_seconds"] == start["earlier_seconds"] == duration(read(tmp_path / "first")) > 0
    with pytest.raises(ValueError, match="is of a run of cnn, not of vit."):
        initialise(networks.load("vit").Network(), "vit", source)
    before = {key: value for key, value in first.items() if key not in start}  # as an earlier version wrote it
    assert {key: with_start(before)[key] for key in start} == {key: first[key] for key in start}
    (tmp_path / "first" / "metrics.jsonl").unlink()
    with pytest.raises(ValueError, match="needs the metrics.jsonl of its run beside it."):
        initialise(network, "cnn", source)


def test_a_learning_rate_that_is_asked_for_is_the_runs(small_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(networks.load("cnn"), "RECIPE", dataclasses.replace(SHORT, epochs=1))
    main(["cnn", "--lr", "1e-4", "--data", str(small_mnist), "--out", str(tmp_path), "--device", "cpu"])
    assert torch.load(tmp_path / "cnn" / "best.pt", weights_only=True)["settings"]["recipe"]["lr"] == 1e-4


def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(FileNotFoundError, match="name a local state dict with --weights FILE"):
        networks.load("alexnet").Network().load_weights("imagenet")


def test_several_seeds_give_a_mean_and_a_deviation(small_mnist, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(networks.load("cnn"), "RECIPE", dataclasses.replace(SHORT, epochs=1))
    main(["cnn", "--seed", "3", "--seeds", "2", "--data", str(small_mnist), "--out", str(tmp_path), "--device", "cpu"])
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(summary["validation_accuracy"]) == 2
    assert summary["mean"] == pytest.approx(sum(summary["validation_accuracy"]) / 2)
    assert summary["deviation"] == pytest.approx(2**0.5 * abs(summary["mean"] - summary["validation_accuracy"][0]))
    first, second = (weights(tmp_path / f"seed{seed}" / "cnn") for seed in (3, 4))
    assert not torch.equal(first["head.2.weight"], second["head.2.weight"])


@pytest.mark.slow
def test_two_processes_train_one_network(small_mnist, tmp_path):
    """torchrun with gloo on the CPU: one run, one set of files, a loss that falls."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "training.train", "cnn", "--epochs", "2", "--device", "cpu"]
    command += ["--data", str(small_mnist), "--out", str(tmp_path)]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert answer.returncode == 0, answer.stderr
    lines = [json.loads(line) for line in (tmp_path / "cnn" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["train_loss"] < lines[0]["train_loss"]
    assert answer.stdout.count('"epoch": 2') == 1  # one of the two speaks


def test_an_epoch_that_stood_still_does_not_count():
    assert duration([{"seconds": 10.0}, {"seconds": 11.0}, {"seconds": 900.0}]) == 33.0
