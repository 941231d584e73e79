import dataclasses
import json
import subprocess
import sys

import pytest
import torch

from tests.conftest import REPOSITORY
from training import loop, networks
from training.loop import Run, fit, pick_device
from training.recipe import MNIST_ALONE
from training.runs import duration
from training.task import Data
from training.train import main

CPU = torch.device("cpu")
SHORT = dataclasses.replace(networks.load("cnn").RECIPE, epochs=3, mild_epochs=1, batch_size=50, sources=MNIST_ALONE)


def weights(folder):
    return torch.load(folder / "averaged.pt", weights_only=True)["network"]


def test_a_run_leaves_checkpoint_metrics_and_weights(small_mnist, tmp_path):
    metrics = fit("cnn", networks.task("cnn", SHORT, CPU, Data(root=small_mnist)), 0, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == metrics
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["validation"]["mnist"]["accuracy"] > 0.5
    assert all(set(line["watched"]) <= {"0", "1"} and line["watched"].count("1") > 10 for line in lines[1:])
    assert all(line["seconds"] > 0 for line in lines)
    trained = torch.load(tmp_path / "averaged.pt", weights_only=True)
    assert {"hardware", "torch", "commit", "initial_weights", "settings"} <= set(trained)
    assert {"averaged.pt", "checkpoint.pt", "metrics.jsonl"} <= {path.name for path in tmp_path.iterdir()}


def test_other_writers_are_trained_on_and_validated_by_source(small_mnist, small_writers, tmp_path):
    recipe = dataclasses.replace(networks.load("cnn").RECIPE, epochs=1, batch_size=50)
    (line,) = fit("cnn", networks.task("cnn", recipe, CPU, Data(root=small_mnist, writers=small_writers)), 0, tmp_path)
    assert set(line["validation"]) == {"mnist", "unipen", "uji", "optdigits", "letters", "omniglot", "doodles"}
    assert {"accuracy", "accepted_wrong", "refused"} == set(line["validation"]["unipen"])
    assert {"refused"} == set(line["validation"]["letters"])


def test_last_epochs_have_milder_augmentation(small_mnist, monkeypatch):
    seen = []
    monkeypatch.setattr("training.digits.degrade", lambda images, knobs: seen.append(knobs.rotate) or images)
    module = networks.load("cnn")
    task = module.TASK(module, SHORT, CPU, Data(root=small_mnist))
    for epoch in range(SHORT.epochs):
        task.batch(0, epoch, 0)
    usual = SHORT.augment.rotate
    assert seen == [usual, usual, pytest.approx(SHORT.mild * usual)]


@pytest.fixture(scope="module")
def whole(small_mnist, small_writers, tmp_path_factory):
    """Starts or resumes a training with a checkpoint after each step; the lines and the checkpoint of a whole one."""
    data = Data(root=small_mnist, writers=small_writers)
    recipe = dataclasses.replace(SHORT, sources=networks.load("cnn").RECIPE.sources)
    folder = tmp_path_factory.mktemp("whole")

    def train(folder, resume=False):
        return fit("cnn", networks.task("cnn", recipe, CPU, data), 7, folder, resume=resume)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAVED", 0.0)
        yield train, train(folder), torch.load(folder / "checkpoint.pt", weights_only=True)


@pytest.mark.parametrize("steps", [5, 23])
def test_a_killed_run_resumes_to_the_same_weights(whole, tmp_path, monkeypatch, steps):
    """It is killed before the first checkpoint, in the middle of an epoch, and at the end of one."""
    train, lines, expected = whole
    train_step, done = Run.train_step, []

    def killed(run):
        if len(done) == steps:
            raise KeyboardInterrupt
        done.append(1)
        return train_step(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    assert [line["train_loss"] for line in train(tmp_path, resume=True)] == [line["train_loss"] for line in lines]
    found = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for part in ("network", "averaged"):
        assert all(torch.equal(value, found[part][key]) for key, value in expected[part].items())


def test_an_existing_run_is_not_overwritten(small_mnist, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"precious")
    with pytest.raises(ValueError, match="exists; continue it with --resume"):
        fit("cnn", networks.task("cnn", SHORT, CPU, Data(root=small_mnist)), 0, tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == b"precious"


def test_resuming_with_other_settings_is_refused(small_mnist, tmp_path):
    fit("cnn", networks.task("cnn", dataclasses.replace(SHORT, epochs=1), CPU, Data(root=small_mnist)), 0, tmp_path)
    with pytest.raises(ValueError, match="has other settings .*; delete its folder"):
        fit("cnn", networks.task("cnn", SHORT, CPU, Data(root=small_mnist)), 0, tmp_path, resume=True)


def test_two_trainings_do_not_share_a_folder(small_mnist, tmp_path):
    import fcntl

    with open(tmp_path / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="Another process is training in"):
            fit("cnn", networks.task("cnn", SHORT, CPU, Data(root=small_mnist)), 0, tmp_path)


def test_nan_loss_stops_with_the_epoch(small_mnist, tmp_path, monkeypatch):
    loss = networks.load("cnn").TASK.loss
    monkeypatch.setattr(networks.load("cnn").TASK, "loss", lambda *of: loss(*of) * float("nan"))
    with pytest.raises(FloatingPointError, match="cnn: the loss is NaN in epoch 1"):
        fit("cnn", networks.task("cnn", SHORT, CPU, Data(root=small_mnist)), 0, tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["cnn", "--weights", "imagenet"], "cnn has no pretrained weights; use --weights none."),
        (["ink"], "ink does not train on the sources of digits; leave out --sources mnist."),
        (["vgg16", "--weights", __file__], f"--weights {__file__!r} is not a state dict that PyTorch can load."),
        (
            ["vgg16", "--weights", "nowhere.pt"],
            "--weights 'nowhere.pt' does not exist; use 'imagenet', 'none' or the path of a state dict.",
        ),
    ],
)
def test_bad_arguments_are_refused_in_one_sentence(arguments, message, small_mnist, tmp_path):
    with pytest.raises(SystemExit) as error:
        main([*arguments, "--sources", "mnist", "--data", str(small_mnist), "--out", str(tmp_path)])
    assert error.value.code == message


WRONG = {
    "nonesuch": "invalid choice: 'nonesuch'",
    "cnn --epochs 0": "argument --epochs: 0 is less than 1",
    "": "give the NAME of a network, or --quick",
    "cnn --quick": "give the NAME of a network, or --quick",
    "cnn --images x": "--images needs --from",
    "cnn --from x --weights y": "--from and --weights exclude each other",
}


def test_arguments_are_checked_before_torch_is_imported():
    """Bug: `--help` and a wrong name took 17 s, because PyTorch was imported first."""
    code = f"""
import importlib, sys
calls = [("train", arguments.split(), 2) for arguments in {list(WRONG)}]
calls += [(name, ["--help"], 0) for name in ("train", "export", "evaluate", "report", "data.__main__")]
for name, arguments, status in calls:
    try:
        importlib.import_module(f"training.{{name}}").main(arguments)
    except SystemExit as end:
        assert (end.code or 0) == status
    print(end=chr(12), file=sys.stderr, flush=True)
assert "torch" not in sys.modules"""
    answer = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert answer.returncode == 0 and answer.stdout.count("usage:") == 5, answer.stderr
    for message, said in zip(WRONG.values(), answer.stderr.split(chr(12)), strict=False):
        assert message in said


def test_missing_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--device cuda: PyTorch finds no CUDA device"):
        pick_device("cuda")
    assert pick_device("auto") == CPU


def test_several_seeds_give_a_mean_and_a_deviation(small_mnist, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(networks.load("cnn"), "RECIPE", dataclasses.replace(SHORT, epochs=1))
    main(["cnn", "--seed", "3", "--seeds", "2", "--data", str(small_mnist), "--out", str(tmp_path), "--device", "cpu"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["mnist.accuracy"]
    assert len(found["values"]) == 2
    assert found["mean"] == pytest.approx(sum(found["values"]) / 2)
    assert found["deviation"] == pytest.approx(2**0.5 * abs(found["mean"] - found["values"][0]))
    first, second = (weights(tmp_path / f"seed{seed}" / "cnn") for seed in (3, 4))
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_duration_ignores_an_epoch_that_was_held_up():
    assert duration([{"seconds": 10.0}, {"seconds": 11.0}, {"seconds": 900.0}]) == 33.0
