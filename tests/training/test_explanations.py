"""Explanations are additional outputs of a graph, and its other outputs stay bit-identical."""

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.conftest import write_artefact, write_consensus
from training.release.explanations import add_explanations, renew

PART = {"vit": ["attention"], "faster_rcnn": ["proposals", "objectness"]}


def without(model, names):
    """The graph as it was before the outputs `names` were added."""
    kept = [output for output in model.graph.output if output.name not in names]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    needed, nodes = {output.name for output in kept}, []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.insert(0, node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    unused = [initializer for initializer in model.graph.initializer if initializer.name not in needed]
    for initializer in unused:
        model.graph.initializer.remove(initializer)
    return model


@pytest.mark.parametrize("name", PART)
def test_answers_stay_bit_identical(released, name):
    with_them = onnx.load(released / f"{name}.onnx")
    before = without(onnx.load(released / f"{name}.onnx"), PART[name])
    again = onnx.ModelProto.FromString(before.SerializeToString())
    assert add_explanations(again)
    sessions = [
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        for model in (before, with_them, again)
    ]
    answers = [output.name for output in before.graph.output]
    assert [o.name for o in sessions[1].get_outputs()] == [o.name for o in sessions[2].get_outputs()]
    assert [o.name for o in sessions[1].get_outputs()] == answers + PART[name]
    generator = np.random.default_rng(0)
    for size in (1, 5, 32):
        images = generator.integers(0, 256, (size, 1, 28, 28), np.uint8)
        expected = sessions[0].run(answers, {"images": images})
        for session in sessions[1:]:
            for one, other in zip(expected, session.run(answers, {"images": images}), strict=True):
                np.testing.assert_array_equal(one, other)


def test_files_are_changed_once_and_their_hashes_renewed(tmp_path, released):
    write_artefact(tmp_path / "cnn.onnx", bias=7)  # has nothing to explain
    onnx.save(without(onnx.load(released / "vit.onnx"), PART["vit"]), tmp_path / "vit.onnx")
    write_consensus(tmp_path)
    before = (tmp_path / "consensus.json").read_text()
    assert renew(tmp_path) == ["vit"]
    after = (tmp_path / "consensus.json").read_text()
    write_consensus(tmp_path)
    assert after != before
    assert onnx.load(tmp_path / "vit.onnx").graph.output[1].name == "attention"
    assert renew(tmp_path) == []
