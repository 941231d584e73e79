"""The two lessons: a network in a minute, and fine-tuning on one's own digits."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from service.inference.artefact import open_artefact
from tests.conftest import draw
from training import export, networks
from training.command import command
from training.loop import fit, seconds_of
from training.runs import WEIGHTS, duration, read_metrics
from training.task import Data
from training.train import main

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def quick():
    """The quick network, with batches that the small MNIST fills."""
    module = networks.load("quick")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RECIPE", dataclasses.replace(module.RECIPE, epochs=2, batch_size=50))
        yield module.RECIPE


@pytest.fixture(scope="module")
def trained(small_mnist, quick, tmp_path_factory):
    """The folder of runs with one of the quick network."""
    folder = tmp_path_factory.mktemp("runs")
    fit("quick", networks.task("quick", quick, CPU, Data(root=small_mnist)), 0, folder / "quick")
    return folder


def test_quick_trains_and_exports_a_network_under_its_own_name(small_mnist, tmp_path, capsys):
    where = ["--data", str(small_mnist), "--out", str(tmp_path / "runs"), "--models", str(tmp_path), "--device", "cpu"]
    main(["--quick", *where])
    said = capsys.readouterr()
    artefact = open_artefact(tmp_path / "quick.onnx", "cpu", threads=1)
    assert artefact.metadata["name"] == "quick" and artefact.metadata["data"] == "mnist 100%"
    assert "quick 2/2" in said.err and f"`{command('quintet evaluate')}`" in said.out
    assert "quick" in networks.NAMES and "quick" not in networks.voters()


def test_an_artefact_can_have_another_name(small_mnist, trained, tmp_path):
    where = ["--runs", str(trained), "--models", str(tmp_path), "--data", str(small_mnist)]
    export.main(["quick", *where, "--as", "mine"])
    assert open_artefact(tmp_path / "mine.onnx", "cpu", threads=1).metadata["name"] == "mine"


@pytest.fixture
def corrections(tmp_path):
    """A folder as `quintet evaluate --images` takes it: three of each of four digits, and two crosses."""
    for digit in "0147":
        (tmp_path / "own" / digit).mkdir(parents=True)
        for size in (3, 4, 5):
            Image.fromarray(draw(digit, scale=size)).save(tmp_path / "own" / digit / f"{size}.png")
    (tmp_path / "own" / "other").mkdir()
    for number in range(2):
        Image.fromarray(draw("x")).save(tmp_path / "own" / "other" / f"{number}.png")
    return tmp_path / "own"


def test_a_network_learns_from_ones_own_digits(small_mnist, released, trained, corrections, tmp_path, capsys):
    where = ["--data", str(small_mnist), "--out", str(tmp_path / "runs"), "--device", "cpu"]
    checkpoint = trained / "quick" / WEIGHTS
    before = checkpoint.read_bytes()
    own = ["--from", str(checkpoint), "--images", str(corrections), "--sources", "mnist", "--models", str(released)]
    main(["quick", *own, *where])
    table = capsys.readouterr().out
    assert "your 2, held out" in table and "mnist, validation" in table and "--as my_quick" in table
    assert checkpoint.read_bytes() == before
    tuned = torch.load(tmp_path / "runs" / "own" / "quick" / WEIGHTS, weights_only=True)
    assert tuned["initial_weights"] == "quick, 2 epochs, seed 0"
    assert tuned["settings"]["recipe"]["images"] == str(corrections)


def test_a_network_learns_on_with_a_lower_rate(small_mnist, trained, quick, tmp_path):
    checkpoint = trained / "quick" / WEIGHTS
    where = ["--data", str(small_mnist), "--out", str(tmp_path), "--sources", "mnist", "--device", "cpu"]
    main(["quick", "--from", str(checkpoint), "--epochs", "1", *where])
    more = torch.load(tmp_path / "quick" / WEIGHTS, weights_only=True)
    assert more["initial_weights"] == "quick, 2 epochs, seed 0"
    assert more["settings"]["recipe"]["lr"] == pytest.approx(0.3 * quick.lr)
    before = duration(read_metrics(trained / "quick"))
    assert more["seconds_before"] == before > 0  # a release says the time of both
    more = tmp_path / "quick"
    assert seconds_of(str(more / WEIGHTS)) == duration(read_metrics(more), before)
    assert seconds_of("imagenet") == seconds_of(None) == 0.0


def test_only_a_run_can_be_gone_on_from(small_mnist, tmp_path):
    (tmp_path / "other.pt").touch()
    with pytest.raises(SystemExit) as error:
        main(["cnn", "--from", str(tmp_path / "other.pt"), "--sources", "mnist", "--data", str(small_mnist)])
    assert error.value.code == f"{tmp_path}/other.pt is not the averaged.pt of a run."


def test_a_checkpoint_of_another_network_is_refused(small_mnist, released, trained, corrections, tmp_path):
    own = ["--from", str(trained / "quick" / WEIGHTS), "--images", str(corrections), "--sources", "mnist"]
    with pytest.raises(SystemExit) as error:
        main(["vit", *own, "--data", str(small_mnist), "--out", str(tmp_path), "--models", str(released)])
    assert error.value.code == f"{trained}/quick/averaged.pt is a run of quick, not of vit."


def test_too_few_digits_are_refused(small_mnist, released, trained, tmp_path):
    (tmp_path / "own" / "7").mkdir(parents=True)
    Image.fromarray(draw("7")).save(tmp_path / "own" / "7" / "one.png")
    Image.fromarray(np.full((50, 50), 255, np.uint8)).save(tmp_path / "own" / "7" / "blank.png")
    own = ["--from", str(trained / "quick" / WEIGHTS), "--images", str(tmp_path / "own"), "--models", str(released)]
    with pytest.raises(SystemExit) as error:
        main(["quick", *own, "--sources", "mnist", "--data", str(small_mnist), "--out", str(tmp_path)])
    assert error.value.code == f"{tmp_path}/own has 1 images of one digit; fine-tuning takes at least 10."
