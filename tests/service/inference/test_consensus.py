import hashlib
import json

import numpy as np
import pytest

from service.inference.artefact import UnusableArtefact
from service.inference.consensus import FILE, Calibration, Consensus, choices, load_consensus, mean_probabilities
from service.picture.ink import FILE as INK


def one_hot(digit, confidence):
    row = np.full(10, (1 - confidence) / 9)
    row[digit] = confidence
    return row


@pytest.fixture
def consensus():
    every = choices("abc")
    return Consensus(
        sha256=dict.fromkeys("abc", ""),
        temperature=dict.fromkeys(every, 1.0),
        threshold=dict.fromkeys(every, 0.6),
        figures={},
    )


def test_choices_are_all_but_none():
    assert choices("ba") == ["a", "b", "a,b"]


def test_mean_of_probabilities_is_taken_and_sums_to_one():
    mean = mean_probabilities(np.array([[one_hot(3, 0.9)], [one_hot(5, 0.7)]]))
    assert mean.shape == (1, 10)
    assert mean[0].sum() == pytest.approx(1)
    assert mean[0, 3] == pytest.approx((0.9 + 0.3 / 9) / 2)


def test_temperature_below_one_makes_the_mean_surer():
    probabilities = np.array([[one_hot(3, 0.9)], [one_hot(3, 0.7)]])
    assert mean_probabilities(probabilities, 0.5).max() > mean_probabilities(probabilities).max()


def test_majority_is_the_digit_and_agreement_counts_it(consensus):
    probabilities = np.array([[one_hot(3, 0.9)], [one_hot(3, 0.9)], [one_hot(8, 0.9)]])
    (verdict,), _ = consensus.decide(["c", "a", "b"], probabilities)
    assert (verdict.digit, verdict.agreement, verdict.accepted) == (3, 2, True)


def test_unsure_consensus_is_not_accepted(consensus):
    probabilities = np.array([[one_hot(3, 0.9)], [one_hot(4, 0.9)], [one_hot(8, 0.9)]])
    (verdict,), _ = consensus.decide(["a", "b", "c"], probabilities)
    assert not verdict.accepted


def test_each_image_of_a_batch_has_its_own_verdict(consensus):
    rows = np.array([one_hot(digit, 0.9) for digit in (1, 2)])
    verdicts, _ = consensus.decide(["a", "b", "c"], np.stack([rows] * 3))
    assert [verdict.digit for verdict in verdicts] == [1, 2]


def test_model_with_a_small_weight_is_outvoted(consensus):
    weighted = consensus.model_copy(update={"weight": {"a": 0.9, "b": 0.05, "c": 0.05}})
    probabilities = np.array([[one_hot(3, 0.9)], [one_hot(8, 0.9)], [one_hot(8, 0.9)]])
    (verdict,), mean = weighted.decide(["a", "b", "c"], probabilities)
    assert (verdict.digit, verdict.agreement) == (3, 1) and mean[0, 3] == pytest.approx(0.811, abs=0.001)


def test_a_gpu_has_its_own_temperatures_and_thresholds(consensus):
    surer = Calibration(temperature=dict.fromkeys(choices("abc"), 1.0), threshold=dict.fromkeys(choices("abc"), 0.95))
    fitted = consensus.model_copy(update={"floats": surer})
    probabilities = np.array([[one_hot(3, 0.9)]])
    assert fitted.calibration("cpu").decide(["a"], probabilities)[0][0].accepted
    assert not fitted.calibration("cuda").decide(["a"], probabilities)[0][0].accepted


def test_a_file_without_those_of_a_gpu_has_the_same_for_both(consensus):
    assert consensus.calibration("cuda") is consensus.calibration("cpu")


def test_folder_in_order_is_loaded(small_models):
    assert load_consensus(small_models).names == ["cnn", "faster_rcnn", "vit"]


def test_missing_artefact_is_named_with_the_command_that_makes_it(small_models):
    (small_models / "vit.onnx").unlink()
    with pytest.raises(UnusableArtefact, match="vit.onnx is missing; .*create it with: python -m training.export vit"):
        load_consensus(small_models)


def test_one_changed_byte_is_noticed(small_models):
    path = small_models / "cnn.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnusableArtefact, match="cnn.onnx is not the file that was released.*training.export cnn"):
        load_consensus(small_models)


def test_another_network_that_finds_ink_is_noticed(small_models):
    path = small_models / FILE
    content = json.loads(path.read_text())
    released = hashlib.sha256((small_models / INK).read_bytes()).hexdigest()
    assert load_consensus(small_models).helpers["ink"] == released
    path.write_text(json.dumps(content | {"helpers": content["helpers"] | {"ink": "0" * 64}}))
    with pytest.raises(UnusableArtefact, match="ink.onnx is not the file that was released.*training.export ink"):
        load_consensus(small_models)


def test_artefact_that_is_not_part_of_the_consensus_is_not_served_and_noticed(small_models, caplog):
    """Bug: the first lesson's export stopped the service, and fine-tuning, until everything was evaluated again."""
    (small_models / "resnet.onnx").write_bytes(b"new")
    assert "resnet" not in load_consensus(small_models).names
    assert "resnet.onnx is not served: consensus.json does not list it yet" in caplog.text


def empty(**parts):
    return json.dumps({"sha256": {}, "temperature": {}, "threshold": {}, "figures": {}} | parts)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        empty(),
        empty(sha256={"cnn": "0"}),
        empty(sha256=["cnn"]),
        empty(temperature={"cnn": None}),
        empty(
            sha256={"cnn": "0"},
            temperature={"cnn": 1},
            threshold={"cnn": 0},
            floats={"temperature": {"cnn": 1}, "threshold": {}},
        ),
    ],
)
def test_damaged_consensus_is_noticed(small_models, content):
    (small_models / "consensus.json").write_text(content)
    with pytest.raises(UnusableArtefact, match="consensus.json is damaged; .*create it with"):
        load_consensus(small_models)


def test_missing_consensus_is_noticed(tmp_path):
    with pytest.raises(UnusableArtefact, match="consensus.json is missing; .*create it with"):
        load_consensus(tmp_path)


def test_in_a_clone_git_brings_the_released_file_back(small_models):
    """Bug: the advice for a damaged model was to train it again, which takes hours."""
    (small_models.parent / ".git").mkdir()
    (small_models / "cnn.onnx").write_bytes(b"damaged")
    with pytest.raises(UnusableArtefact, match=f"with: git restore {small_models}; or create a new one with"):
        load_consensus(small_models)


def test_outside_a_clone_git_is_not_named(small_models):
    (small_models / "cnn.onnx").write_bytes(b"damaged")
    with pytest.raises(UnusableArtefact, match="copy it from the release again, or create it with"):
        load_consensus(small_models)
