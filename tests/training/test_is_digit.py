import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch

from tests.conftest import RELEASED
from training import export as export_command
from training import train as train_command
from training.networks import is_digit as module
from training.networks.is_digit import DIGITS, IsDigit, Network, calibrated, score
from training.scenes import seen
from training.task import Data

RECIPE = dataclasses.replace(module.RECIPE, epochs=1, steps=3, batch_size=64)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(small_mnist, small_writers, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "FOLDER", tmp_path_factory.mktemp("seen"))
        patch.setattr(seen, "COUNTS", {"photograph": 6, "texture": 2, "drawn": 4, "digit": 8})
        patch.setattr(seen, "HELD_OUT", 1.0)
        patch.setattr(module, "MODELS", RELEASED)
        patch.setattr(module, "MOST", 40)
        yield Data(root=small_mnist, writers=small_writers)


def test_a_batch_mixes_digits_and_others_and_its_seed_repeats_it(data):
    task = IsDigit(module, RECIPE, CPU, data)
    images, labels = task.batch(0, 0, 0)
    assert images.shape == (64, 1, 28, 28) and images.dtype == torch.float32 and 0 <= images.min() <= images.max() <= 1
    assert 0.3 < (labels >= 0).float().mean() < 0.7
    torch.manual_seed(3)
    one = task.batch(0, 0, 1)
    torch.manual_seed(3)
    assert torch.equal(one[0], task.batch(0, 0, 1)[0]) and not torch.equal(one[1], labels)
    assert set(task.sources) == set(dataclasses.asdict(module.Shares()))


def test_sources_without_files_are_left_out_but_not_the_digits(data, small_mnist, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="digits.npz is missing"):
        module.sources("train", Data(root=small_mnist, writers=tmp_path))
    for name in ("unipen", "uji_digits"):
        (tmp_path / name).symlink_to(data.writers / name)
    found = module.sources("validation", Data(root=small_mnist, writers=tmp_path))
    assert set(found) == {"mnist", "unipen", "uji", "styled", "letters", "marred", "seen"}
    assert "is_digit goes without typed: " in capsys.readouterr().out


def test_the_score_is_the_odds_of_the_ten_digits_together():
    logits = torch.randn(5, DIGITS + 1)
    digit = logits.softmax(1)[:, :DIGITS].sum(1)
    assert torch.allclose(score(logits).sigmoid(), digit, atol=1e-6)


def test_calibrated_scores_are_probabilities_if_half_are_digits():
    generator = np.random.default_rng(0)
    digit = generator.random(20_000) < 0.8
    true = generator.normal(np.where(digit, 2, -2), 2)  # the log odds of these are 2 * true / 2, if half are digits
    scale, offset = calibrated(3 * true + 1, digit)
    assert scale == pytest.approx(1 / 3, rel=0.1) and offset == pytest.approx(-1 / 3, abs=0.1)


def test_figures_are_the_shares_that_are_refused(data):
    task = IsDigit(module, RECIPE, CPU, data)
    figures = task.validate(Network())
    assert figures["mnist"] <= 0.03 and {"letters", "no digit: symbols", "no digit: marred"} - set(figures) == {
        "letters"
    }
    assert all(0 <= value <= 1 for value in figures.values())


def test_the_commands_train_and_write_the_same_answers_as_pytorch(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECIPE", RECIPE)
    monkeypatch.setattr(module, "WORSE", 1.0)  # after three steps there is little that 8 bits could keep
    where = ["--data", str(data.root), "--writers", str(data.writers)]
    monkeypatch.setenv("WRITERS_ROOT", str(data.writers))
    runs = tmp_path / "runs"
    train_command.main(["is_digit", "--epochs", "1", "--out", str(runs), *where, "--device", "cpu"])
    export_command.main(["is_digit", "--runs", str(runs), "--models", str(tmp_path), "--data", str(data.root)])
    session = onnxruntime.InferenceSession(tmp_path / "is_digit.onnx")
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 28, 28)).astype(np.uint8)
    (found,) = session.run(["is_digit"], {"images": images})
    assert found.shape == (7,) and found.dtype == np.float32 and ((found >= 0) & (found <= 1)).all()
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["name"] == "is_digit" and "mnist 20" in metadata["data"]
