"""Compare each model's speed with the peak of the cores: python -m benchmarks.roofline.

For each model the benchmark counts the multiply-adds for one 28x28 image, from the shapes that onnxruntime reports for
each node of the stored graph. It measures the multiply-adds per second at batch 1 and 32, and their share of the peak:
one large matrix product in onnxruntime, in the model's own arithmetic (floats, or 8 bits). Each measurement is the
fastest of many calls in one process, because other work on the machine can only make calls slower.

The results go to results/roofline.json, and from there, with results/placement.json, into docs/performance.md.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from benchmarks.offline import hardware, measure
from service import settings as environment
from service.inference.consensus import load_consensus
from service.inference.device import open_session, session_options
from service.inference.shapes import LARGEST

RESULTS, DOCS = Path("results"), Path("docs/performance.md")
BATCHES = 1, LARGEST
SIDE = 512  # rows and columns of the matrices that measure the peak
PEAK_CALLS = 20  # times as many calls as for a model: a short product needs a quiet moment
FLOATS, EIGHT_BITS = "floats", "8 bits"
MARKED = r"(?<=<!-- roofline -->\n).*?(?=<!-- /roofline -->)"


def multiply_adds(path: Path) -> int:
    """The multiply-adds of one 28x28 image in all convolutions and matrix products; other nodes are not counted."""
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = f"node_{number}"
    shapes = _shapes(model)
    return sum(_of_node(node, shapes) for node in model.graph.node)


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The shape of every tensor in a run with one 28x28 image. The nodes must have unique names."""
    options = session_options(1)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory() as folder:
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "run")
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        session.run(None, {"images": np.zeros((1, 1, 28, 28), np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text())
    made = {
        event["name"].removesuffix("_kernel_time"): event["args"]["output_type_shape"]
        for event in events
        if event.get("cat") == "Node" and "output_type_shape" in event["args"]
    }
    shapes = {weights.name: list(weights.dims) for weights in model.graph.initializer}
    for node in model.graph.node:
        outputs = [name for name in node.output if name]
        for name, tensor in zip(outputs, made.get(node.name, []), strict=False):
            shapes[name] = next(iter(tensor.values()))  # onnxruntime writes {"float": [1, 10]}
    return shapes


def _of_node(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return 0
    # A convolution's weights are (out, in, height, width). A Gemm may have its second matrix transposed, so the length
    # that is summed over is taken from the first.
    summed = int(np.prod(shapes[node.input[1]][1:])) if node.op_type == "Conv" else shapes[node.input[0]][-1]
    return int(np.prod(shapes[node.output[0]])) * summed


def peak(threads: int, arithmetic: str, calls: int) -> float:
    """Multiply-adds per second of one large matrix product, in the fastest call."""
    generator = np.random.default_rng(0)
    if arithmetic == FLOATS:
        kinds = TensorProto.FLOAT, TensorProto.FLOAT
        left, right = (generator.random((SIDE, SIDE), np.float32) for _ in range(2))
        node = helper.make_node("MatMul", ["left", "right"], ["product"])
    else:
        kinds = TensorProto.UINT8, TensorProto.INT32
        left = generator.integers(0, 128, (SIDE, SIDE), np.uint8)
        right = generator.integers(-64, 64, (SIDE, SIDE), np.int8)
        node = helper.make_node("MatMulInteger", ["left", "right"], ["product"])
    graph = helper.make_graph(
        [node],
        "peak",
        [helper.make_tensor_value_info("left", kinds[0], [SIDE, SIDE])],
        [helper.make_tensor_value_info("product", kinds[1], [SIDE, SIDE])],
        [onnx.numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = open_session(model.SerializeToString(), "cpu", threads)
    milliseconds = measure(lambda _: session.run(None, {"left": left}), np.zeros((1, 1)), 1, PEAK_CALLS * calls)
    return SIDE**3 / min(milliseconds) * 1e3


def speed(model: Path, threads: int, batch: int, calls: int) -> float:
    """Images per second in the fastest call."""
    session = open_session(model, "cpu", threads)
    images = np.random.default_rng(0).integers(0, 256, (128, 1, 28, 28), np.uint8)
    run: Callable[[np.ndarray], Any] = lambda part: session.run(["probabilities"], {"images": part})  # noqa: E731
    return batch / min(measure(run, images, batch, calls)) * 1e3


def collect(models: Path, threads: int, calls: int) -> dict[str, Any]:
    peaks = {arithmetic: peak(threads, arithmetic, calls) for arithmetic in (FLOATS, EIGHT_BITS)}
    rows = []
    for path in (models / f"{name}.onnx" for name in load_consensus(models).names):
        kinds = {node.op_type for node in onnx.load(path).graph.node}
        arithmetic = EIGHT_BITS if "QuantizeLinear" in kinds else FLOATS
        count = multiply_adds(path)
        rows.append({"model": path.stem, "arithmetic": arithmetic, "multiply_adds": count})
        for batch in BATCHES:
            images = speed(path, threads, batch, calls)
            rows[-1][f"images_per_sec_{batch}"] = round(images)
            rows[-1][f"share_of_peak_{batch}"] = round(count * images / peaks[arithmetic], 4)
    setting = {"hardware": hardware(), "threads": threads, "onnxruntime": onnxruntime.__version__, "calls": calls}
    return {"setting": setting, "peak_multiply_adds_per_sec": peaks, "rows": rows}


def table(found: dict[str, Any], placed: dict[str, Any]) -> str:
    """The text of docs/performance.md, from the two recorded files."""
    setting, peaks = found["setting"], found["peak_multiply_adds_per_sec"]
    lines = [
        f"{setting['threads']} threads of {setting['hardware']}, onnxruntime {setting['onnxruntime']}, fastest of "
        f"{setting['calls']} calls. Peak: {peaks[FLOATS] / 1e9:.0f} thousand million multiply-adds/s in floats, "
        f"{peaks[EIGHT_BITS] / 1e9:.0f} in 8 bits.",
        "",
        "| model | arithmetic | million multiply-adds | share of peak, batch 1 | batch 32 | nodes on CUDA, of all |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in found["rows"]:
        shares = " | ".join(f"{row[f'share_of_peak_{batch}']:.0%}" for batch in BATCHES)
        fixed = [p["nodes"] for p in placed["rows"] if p["model"] == row["model"] and p["shape"]]
        on_cuda, all_nodes = fixed[0].get("CUDAExecutionProvider", 0), sum(fixed[0].values())
        lines.append(
            f"| `{row['model']}` | {row['arithmetic']} | {row['multiply_adds'] / 1e6:.1f} | {shares} "
            f"| {on_cuda} of {all_nodes} |"
        )
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=100, help="timed calls of each kind; default: 100")
    arguments = parser.parse_args(argv)
    settings = environment.load()
    found = collect(settings.models, settings.threads, arguments.calls)
    (RESULTS / "roofline.json").write_text(json.dumps(found, indent=1) + "\n")
    said = table(found, json.loads((RESULTS / "placement.json").read_text()))
    DOCS.write_text(re.sub(MARKED, lambda _: said, DOCS.read_text(), flags=re.DOTALL))
    print(said)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
