import json
import shutil

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from service.inference.artefact import open_artefact
from service.inference.consensus import load_consensus
from tests.conftest import VOTERS
from training import evaluate, networks
from training import release as releasing
from training.data import mnist
from training.digits import predict
from training.measure.evaluation import MEASURED, PROBABILITIES, completed, in_8_bits, release
from training.measure.evaluation import evaluate as measure
from training.report import weak
from training.task import Data


def test_evaluation_of_named_artefacts_and_a_folder_of_images_writes_nothing(
    models, small_mnist, small_writers, tmp_path, capsys
):
    images, labels = mnist.load("test", small_mnist)
    for number, (image, label) in enumerate(zip(images[:20, 0].numpy(), labels.tolist(), strict=False)):
        (tmp_path / "own" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "own" / str(label) / f"{number}.png")
    before = {path: path.read_bytes() for path in models.rglob("*.onnx")}
    where = ["--models", str(models), "--data", str(small_mnist), "--writers", str(small_writers)]
    evaluate.main(["cnn", *where, "--results", str(tmp_path / "results"), "--images", str(tmp_path / "own")])
    lines = capsys.readouterr().out.splitlines()
    found = json.loads(lines[-1])
    assert set(found) == {"cnn", "consensus"} and found["cnn"]["images"]["digits"] == 20
    assert any(line.startswith("|cnn|20|") for line in lines)
    assert {path: path.read_bytes() for path in models.rglob("*.onnx")} == before
    assert not (tmp_path / "results").exists()


def test_figures_go_into_the_artefact(evaluated, runs, small_mnist):
    folder, found = evaluated
    images, labels = mnist.load("test", small_mnist)
    network = networks.load("cnn").Network()
    network.load_state_dict(torch.load(runs / "cnn" / "averaged.pt", weights_only=True)["network"])
    expected = (predict(network, images).argmax(1) == labels).float().mean().item()
    assert found["cnn"]["test"]["accuracy"] == pytest.approx(expected, abs=0.02)
    metadata = open_artefact(folder / "cnn.onnx", "cpu", threads=1).metadata
    assert metadata["test_accuracy"] == pytest.approx(found["cnn"]["test"]["accuracy"])
    assert {"test_macro_f1", "test_loss", "test_ece", "validation_accuracy", "family"} <= set(metadata)
    assert "test_ap50" in open_artefact(folder / "faster_rcnn.onnx", "cpu", threads=1).metadata


def test_consensus_is_written_for_every_subset_of_models(evaluated):
    folder, found = evaluated
    consensus = load_consensus(folder)
    assert consensus.names == VOTERS
    assert len(consensus.temperature) == len(consensus.threshold) == 2 ** len(VOTERS) - 1
    on_gpu, on_cpu = consensus.calibration("cuda"), consensus.calibration("cpu")
    assert on_gpu.threshold.keys() == on_cpu.threshold.keys()
    assert on_gpu.threshold["vit"] == on_cpu.threshold["vit"]  # vit computes in floats on both devices
    assert on_gpu.temperature != on_cpu.temperature or on_gpu.threshold != on_cpu.threshold
    assert consensus.figures["test_accuracy"] == pytest.approx(found["consensus"]["test"]["accuracy"])
    refused = found["consensus"]["sets"]["test"]["refused"]["share"]
    assert consensus.figures["test_accepted"] == pytest.approx(1 - refused)


@pytest.mark.parametrize("name", VOTERS)
def test_released_artefact_tells_whether_it_computes_in_8_bits(released, name):
    """Bug: a new wording of its metadata would have fitted a GPU's thresholds to answers in 8 bits."""
    artefact = open_artefact(released / f"{name}.onnx", "cpu", threads=1)
    assert in_8_bits(artefact) == releasing.in_8_bits(networks.load(name))


def test_a_network_that_adds_nothing_is_said_to_be_weak():
    """Bug: one that reads 94 % right, beside five of more than 99 %, was not said to be: it has .02 of 1, not .016."""
    found = {"consensus": {"weights": {"one": 0.5, "other": 0.48, "poor": 0.02}}}
    assert weak(found) == ["poor is weak beside the others: its vote in the consensus weighs 0.020 of 1."]
    five = {"alexnet": 0.1831, "cnn": 0.2612, "faster_rcnn": 0.1595, "vgg16": 0.1991, "vit": 0.1971}
    assert weak({"consensus": {"weights": five}}) == []


def test_everything_measured_is_recorded(evaluated, small_mnist):
    folder, found = evaluated
    results = folder.parent / "results"
    recorded = json.loads((results / MEASURED).read_text())
    assert set(recorded) == {*VOTERS, "consensus"}
    assert recorded["vit"]["test"]["accuracy"] == pytest.approx(found["vit"]["test"]["accuracy"], abs=1e-6)
    assert 0 <= recorded["faster_rcnn"]["detection"]["ap"] <= recorded["faster_rcnn"]["detection"]["ap50"] <= 1
    low, high = recorded["consensus"]["test_intervals"]["accuracy"]
    assert low <= found["consensus"]["test"]["accuracy"] <= high
    saved = np.load(results / PROBABILITIES)
    labels = mnist.load("test", small_mnist)[1].numpy()
    assert (saved["labels"] == labels).all()
    accuracy = (saved["cnn"].argmax(1) == labels).mean()
    assert accuracy == pytest.approx(found["cnn"]["test"]["accuracy"], abs=0.011)


def test_what_was_not_measured_again_stays_recorded():
    """Bug: evaluation without --images deleted the development set from the page /results."""
    before = {"test": 0, "sets": {"test": 0, "uji": 2}, "images": 3, "numbers": 4}
    now = {"test": 1, "sets": {"test": 1}, "numbers": 5}
    kept = {"sets": {"test": 1, "uji": 2}, "images": 3, "numbers": 5}
    of_another = completed(now, before)  # another network: its figures are said to be of an earlier one
    assert of_another == {"test": 1, "earlier": ["images", "uji"]} | kept
    assert completed(now, before | {"test": 1}) == {"test": 1} | kept
    assert completed(now, of_another) == of_another
    assert "earlier" not in completed(now | {"images": 3, "sets": {"test": 1, "uji": 2}}, of_another)


def test_other_writers_are_measured_by_set_with_intervals(evaluated):
    sets = evaluated[1]["consensus"]["sets"]
    assert set(sets) >= {"unipen", "uji", "optdigits", "letters", "omniglot", "doodles", "unseen_signs", "several"}
    for name in ("unipen", "uji"):
        assert sets[name]["writers"] == 3 and {"ones_right", "accepted_wrong", "refused"} <= set(sets[name])
        low, high = sets[name]["right"]["interval"]
        assert 0 <= low <= sets[name]["right"]["share"] <= high <= 1
    assert sets["unipen"]["slashed_zeros_right"]["n"] == 9  # three writers, half of six zeros each
    assert "right" not in sets["letters"] and 0 <= sets["letters"]["auroc"] <= 1


def test_mnist_is_measured_without_the_other_writers(models, small_mnist, tmp_path):
    found, _ = measure(["cnn"], models, Data(root=small_mnist, writers=tmp_path))
    assert set(found["cnn"]["sets"]) == {"validation", "test", "load_digits", "several"}


def test_the_network_is_digit_refuses_beside_confidence(models, small_mnist, small_writers, tmp_path):
    """Its scores here are how much ink there is in the brightest pixel of each image: 1 for all but the blank ones."""
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["levels"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("ReduceMax", ["levels"], ["highest"], axes=[1, 2, 3], keepdims=0),
        onnx.helper.make_node("Div", ["highest", "full"], ["is_digit"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "is_digit",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", 1, 28, 28])],
        [onnx.helper.make_tensor_value_info("is_digit", onnx.TensorProto.FLOAT, ["N"])],
        [onnx.helper.make_tensor("full", onnx.TensorProto.FLOAT, [], [255.0])],
    )
    opsets = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opsets), folder / "is_digit.onnx")
    found, answers = measure(["cnn"], folder, Data(root=small_mnist, writers=small_writers))
    release(found, answers, ["cnn"], folder, folder)
    assert 0 <= found["consensus"]["least_is_digit"] <= 1
    assert load_consensus(folder).least_is_digit == found["consensus"]["least_is_digit"]
    assert "unseen_symbols" in found["cnn"]["sets"] and "unipen_validation" not in found["cnn"]["sets"]
    share = found["cnn"]["sets"]["validation"]["refused"]["share"]
    alone, _ = measure(["cnn"], models, Data(root=small_mnist, writers=small_writers))
    assert found["cnn"]["threshold"] <= alone["cnn"]["threshold"] and share <= 0.02
