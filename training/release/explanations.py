"""Add outputs to an ONNX graph that show what the network looks at: python -m training.release.explanations.

- Vision Transformer: `attention` float32 (N, 49), from the class token to each of the 7x7 patches in the last block,
  averaged over its heads. The class token's attention to itself is left out; with it, the sum would be 1.
- Faster R-CNN: `proposals` float32 (N, K, 4), x_min y_min x_max y_max in pixels: the regions that the region proposal
  network passes to the box head. `objectness` float32 (N, K), 0 to 1, is 0 for a proposal that a better one covers.

`training.export` does this for each new file. The command does it for files that were exported before, and writes their
new hashes to consensus.json. Weights and the nodes of the other outputs do not change, so neither do those outputs.
"""

import argparse
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.inference.consensus import FILE, Consensus

MODELS = Path("models")
FLOAT = TensorProto.FLOAT


def add_explanations(model: onnx.ModelProto) -> bool:
    """Add the outputs that this kind of graph allows, in place. Returns False if there are none or it has them."""
    graph = model.graph
    if {"attention", "proposals"} & {output.name for output in graph.output}:
        return False
    kinds = [node.op_type for node in graph.node]
    if "RoiAlign" in kinds:
        _add_proposals(graph)
        meaning = "; proposals float32 (N, K, 4) like boxes, objectness float32 (N, K): what the box head was given"
    elif kinds.count("Softmax") > 1:
        _add_attention(graph)
        meaning = "; attention float32 (N, 49) of the class token to each patch"
    else:
        return False
    for entry in model.metadata_props:
        if entry.key == "output":
            entry.value += meaning
    onnx.checker.check_model(model, full_check=True)
    return True


def _add_attention(graph: onnx.GraphProto) -> None:
    """Average and cut the attention (N, heads, 50, 50) of the last block.

    It is the second last softmax of the graph; the last one is over the ten digits.
    """
    weights = [node for node in graph.node if node.op_type == "Softmax"][-2].output[0]
    for name, values in {"starts": [0, 1], "ends": [1, 50], "axes": [2, 3], "heads": [1], "query": [1]}.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), f"attention.{name}"))
    graph.node.extend(
        [
            helper.make_node(
                "Slice",
                [weights, "attention.starts", "attention.ends", "attention.axes"],
                ["attention.of_class_token"],  # (N, heads, 1, 49)
            ),
            helper.make_node(
                "ReduceMean", ["attention.of_class_token", "attention.heads"], ["attention.mean"], keepdims=0
            ),
            helper.make_node("Squeeze", ["attention.mean", "attention.query"], ["attention"]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info("attention", FLOAT, ["N", 49]))


def _add_proposals(graph: onnx.GraphProto) -> None:
    """Name the boxes that the first RoI align gets, and their objectness.

    Its regions (N, K, 5) are an image's number beside a box. The boxes were gathered by the indices of a TopK, and the
    values of that TopK are their objectness.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    regions = next(node for node in graph.node if node.op_type == "RoiAlign").input[1]
    while made_by[regions].op_type != "Concat":
        regions = made_by[regions].input[0]
    boxes = made_by[regions].input[1]
    order = made_by[boxes].input[1]
    while made_by[order].op_type != "TopK":
        order = made_by[order].input[0]
    graph.node.extend(
        [
            helper.make_node("Identity", [boxes], ["proposals"]),
            helper.make_node("Sigmoid", [made_by[order].output[0]], ["objectness"]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info("proposals", FLOAT, ["N", None, 4]))
    graph.output.append(helper.make_tensor_value_info("objectness", FLOAT, ["N", None]))


def renew(models: Path) -> list[str]:
    """Add explanations to models/*.onnx and their new hashes to consensus.json. Returns the names of changed files."""
    changed = {}
    for path in sorted(models.glob("*.onnx")):
        model = onnx.load(path)
        if add_explanations(model):
            onnx.save(model, path)
            changed[path.stem] = sha256(path.read_bytes()).hexdigest()
    consensus = Consensus.model_validate_json((models / FILE).read_bytes())
    renewed = consensus.model_copy(update={"sha256": consensus.sha256 | changed})
    if changed:
        (models / FILE).write_text(renewed.model_dump_json(indent=1, exclude_none=True) + "\n")
    return list(changed)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", type=Path, default=MODELS, help="default: models")
    names = renew(parser.parse_args(argv).models)
    print(f"Added explanations to: {', '.join(names) or 'no file; none needs them'}.")


if __name__ == "__main__":
    main()
