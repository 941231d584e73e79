import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch

from service.reading.line import BLANK, CHARACTERS, CLASSES, HEIGHT, OTHER
from training import export as export_command
from training import train as train_command
from training.networks import line as module
from training.networks.line import GROUP, LineRecipe, Lines, Network, batch_of
from training.scenes.lines import Line
from training.task import Data

RECIPE = LineRecipe(epochs=1, steps=3, batch_size=2, lr=1e-3, clip=2.0)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(small_mnist, small_writers):
    return Data(root=small_mnist, writers=small_writers)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "VALIDATION", 4)


def test_a_step_has_the_same_batch_after_a_resumption_and_another_step_another(data):
    whole, resumed = Lines(module, RECIPE, CPU, data), Lines(module, RECIPE, CPU, data)
    batches = [whole.batch(0, 0, step) for step in range(GROUP + 1)]
    again = resumed.batch(0, 0, GROUP - 1)
    assert torch.equal(again.lines, batches[GROUP - 1].lines) and torch.equal(again.labels, batches[GROUP - 1].labels)
    assert len({batch.lines.numpy().tobytes() for batch in batches}) == GROUP + 1


def test_the_first_lines_are_short(data):
    recipe = dataclasses.replace(RECIPE, batch_size=20, steps=2000)
    first, later = (Lines(module, recipe, CPU, data).batch(0, epoch, 0).lengths for epoch in (0, 1))
    assert first.max() <= module.SHORT[0][1] < later.max()


def test_a_batch_counts_the_steps_and_the_classes_of_each_line():
    lines = [Line(np.zeros((HEIGHT, width), np.uint8), text) for width, text in ((10, "12?"), (40, ""))]
    batch = batch_of(lines, CPU)
    assert batch.lines.shape == (2, 1, HEIGHT, 64)
    assert batch.steps.tolist() == [6, 20] and batch.lengths.tolist() == [3, 0]
    assert batch.labels.tolist() == [CHARACTERS.index(sign) + 1 for sign in "12?"]


def test_loss_is_least_for_the_truth(data):
    batch = batch_of([Line(np.zeros((HEIGHT, 40), np.uint8), "1?")], CPU)

    def says(text):
        said = torch.full((1, 20, CLASSES), -9.0)
        said[:, :, BLANK] = 0
        for step, sign in enumerate(text):
            said[:, 2 * step, BLANK] = -9.0
            said[:, 2 * step, CHARACTERS.index(sign) + 1] = 0
        network = torch.nn.Module()
        network.forward = lambda lines: said.log_softmax(2)
        return network

    right, none, wrong = (Lines(module, RECIPE, CPU, data).loss(says(text), batch) for text in ("1?", "", "2"))
    assert right < none and right < wrong


def test_what_is_beside_a_line_in_a_batch_hardly_matters(data):
    torch.manual_seed(0)
    network = Network().eval()
    one = torch.randint(0, 256, (1, 1, HEIGHT, 64)).float()
    with torch.no_grad():
        alone, beside = network(one), network(torch.cat([one, 255 - one]))
    assert alone.shape == (1, 32, CLASSES)
    assert torch.allclose(alone.exp().sum(2), torch.ones(1, 32)) and torch.allclose(alone, beside[:1], atol=1e-4)


def test_validation_measures_numbers_signs_and_silence(data):
    task = Lines(module, dataclasses.replace(RECIPE, batch_size=3), CPU, data)
    blank = np.zeros((HEIGHT, 16), np.uint8)
    task.validation = [Line(blank, text) for text in ("7", "3.5", OTHER, "")]

    def seven(lines):
        said = torch.full((len(lines), lines.shape[3] // 2, CLASSES), -9.0)
        said[:, :, CHARACTERS.index("7") + 1] = 0
        return said

    network = torch.nn.Module()
    network.forward = seven
    assert task.validate(network) == {"number": 1.0, "signs": 0.0, "silent": 0.0}


def test_the_commands_train_and_write_a_file_for_lines_of_any_width(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECIPE", RECIPE)
    where = ["--data", str(data.root), "--writers", str(data.writers), "--device", "cpu"]
    train_command.main(["line", "--epochs", "1", "--out", str(tmp_path / "runs"), *where])
    export_command.main(["line", "--runs", str(tmp_path / "runs"), "--models", str(tmp_path)])
    session = onnxruntime.InferenceSession(tmp_path / "line.onnx")
    for count, width in ((1, 8), (3, 132)):
        (said,) = session.run(["log_probabilities"], {"lines": np.zeros((count, 1, HEIGHT, width), np.uint8)})
        assert np.asarray(said).shape == (count, width // 2, CLASSES)
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["name"] == "line" and int(metadata["parameters"]) == sum(p.numel() for p in Network().parameters())
