"""Show how each network comes to its answer for one 28x28 image. None of this shows why it decides as it does.

`answers.Inside` says what is shown, where the methods come from, and what they do not show. Everything is taken from
the served file: a second session of the same graph, whose inner tensors are outputs too, is opened on the first
request.
"""

import base64
import threading
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from PIL import Image

from ..answers import Found, Inside, Layer, Proposal, Stage
from ..picture.framing import SIZE
from .device import open_session, parts
from .predictor import Predictor

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

GRID = 7  # squares a side, each over one patch of the Vision Transformer
CELL = SIZE // GRID  # pixels from one square to the next
COVER = 8  # pixels a side of a covered square: as wide as two strokes, because a smaller one would only thin a stroke
DECIMALS = 3
LEAST = 0.0005  # lowest objectness or score that is shown; what a better box covers has less
MAPS = 16  # channels shown of each stage: the strongest
COLUMNS = 8  # of pictures side by side, of maps and of kernels
KINDS = {"Conv": "convolution", "MaxPool": "pooling", "RoiAlign": "regions", "Gemm": "dense", "MatMul": "dense"}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A session that returns the inner tensors too."""

    session: onnxruntime.InferenceSession
    graph: "GraphProto"
    outputs: list[str]
    layers: list[tuple["NodeProto", int]]  # those that the answer lists, and the parameters of each


class Explainer:
    def __init__(self, predictor: Predictor, threads: int) -> None:
        self.predictor, self.threads = predictor, threads
        self._opened: dict[str, Opened] = {}
        self._opening = threading.Lock()

    def explain(self, image: np.ndarray, name: str, digit: int | None = None) -> Inside:
        """What the model `name` makes of an image (28, 28) uint8, 0 background to 255 ink.

        digit: whose probability is compared with squares covered; None: the digit that the model reads.
        """
        with self._opening:  # not on the device's thread: it takes up to .3 s
            opened = self._opened.get(name) or self._open(name)
        inputs = {"images": image[None, None]}
        found = self.predictor.do(lambda: opened.session.run(opened.outputs, inputs))
        tensors = dict(zip(opened.outputs, map(np.asarray, found), strict=True))
        if digit is None:
            digit = int(tensors["probabilities"][0].argmax())
        nodes = opened.graph.node
        return Inside(
            name=name,
            digit=digit,
            image=data_url(image),
            occlusion=_listed(occlusion(self.predictor, image, name, digit)),
            layers=[_layer(node, parameters, tensors[node.output[0]]) for node, parameters in opened.layers],
            kernels=_kernels(tensors[next(node.input[1] for node in nodes if node.op_type == "Conv")]),
            stages=_stages([tensors[node.output[0]] for node in nodes if node.op_type == "Relu"]),
            attention=_attention([tensors[node.output[0]] for node in nodes if node.op_type == "Softmax"]),
            proposals=_proposals(tensors),
            found=_found(tensors),
        )

    def _open(self, name: str) -> Opened:
        import onnx  # .25 s and 20 MB, which a service that is never asked does not spend

        model = onnx.load_from_string(self.predictor.artefacts[name].content)
        graph = model.graph
        kinds = {*KINDS, "Relu", "Softmax"}
        wanted = [node.output[0] for node in graph.node if node.op_type in kinds]
        wanted += [node.input[1] for node in graph.node if node.op_type == "Conv"][:1]
        known = [output.name for output in graph.output]
        graph.output.extend(onnx.ValueInfoProto(name=one) for one in dict.fromkeys(wanted) if one not in known)
        session = open_session(model.SerializeToString(), "cpu", self.threads)
        outputs = [output.name for output in session.get_outputs()]
        self._opened[name] = Opened(session=session, graph=graph, outputs=outputs, layers=_layers(graph))
        return self._opened[name]


def occlusion(predictor: Predictor, image: np.ndarray, name: str, digit: int) -> np.ndarray:
    """By how much the probability of `digit` falls with each square covered, (GRID, GRID).

    Squares without ink are skipped, because covering them changes nothing.
    """
    covered, places = covered_images(image)
    images = np.concatenate([image[None, None], covered])
    said = [predictor.classify(part, [name]).by_name[name].probabilities[:, digit] for part in parts(images)]
    whole, *without = np.concatenate(said)
    falls = np.zeros((GRID, GRID), np.float32)
    for (row, column), share in zip(places, without, strict=True):
        falls[row, column] = whole - share
    return falls


def covered_images(image: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """For each square of an image (28, 28) that holds ink, a copy with the square covered, and its row and column.

    The copies are (K, 1, 28, 28).
    """
    margin = (COVER - CELL) // 2
    images, places = [np.empty((0, 1, SIZE, SIZE), np.uint8)], []
    for row in range(GRID):
        for column in range(GRID):
            rows = slice(max(row * CELL - margin, 0), (row + 1) * CELL + margin)
            columns = slice(max(column * CELL - margin, 0), (column + 1) * CELL + margin)
            if image[rows, columns].any():
                covered = image.copy()
                covered[rows, columns] = 0
                images.append(covered[None, None])
                places.append((row, column))
    return np.concatenate(images), places


def _layers(graph: "GraphProto") -> list[tuple["NodeProto", int]]:
    """The layers with weights, pooling and attention, in order, each with the number of its weights and biases.

    A layer that runs a second time with the same weights is listed once.
    """
    sizes = {one.name: int(np.prod(one.dims)) for one in graph.initializer}
    for node in graph.node:  # weights are stored in 8 or 16 bits
        if node.op_type in ("DequantizeLinear", "Cast", "Transpose") and node.input[0] in sizes:
            sizes[node.output[0]] = sizes[node.input[0]]
    biases = {name: sizes.get(node.input[1], 0) for node in graph.node if node.op_type == "Add" for name in node.input}
    layers, seen = [], set()
    for node in graph.node:
        weights = node.input[1] if node.op_type != "RoiAlign" and len(node.input) > 1 else ""
        is_layer = node.op_type in ("MaxPool", "Softmax", "RoiAlign") or (node.op_type in KINDS and weights in sizes)
        key = weights or (node.input[0] if node.op_type == "RoiAlign" else node.output[0])
        if not is_layer or key in seen:
            continue
        seen.add(key)
        count = sum(sizes.get(name, 0) for name in node.input[1:]) if weights else 0
        layers.append((node, count + (biases.get(node.output[0], 0) if node.op_type == "MatMul" else 0)))
    return [(node, count) for node, count in layers if node.op_type != "Softmax" or _is_attention(node, graph)]


def _is_attention(node: "NodeProto", graph: "GraphProto") -> bool:
    """Whether a softmax weighs what a product multiplies."""
    return any(other.op_type == "MatMul" and other.input[0] == node.output[0] for other in graph.node)


def _layer(node: "NodeProto", parameters: int, output: np.ndarray) -> Layer:
    sides = {a.name: a.ints[0] for a in node.attribute if a.name in ("kernel_shape", "strides") and a.ints}
    return Layer(
        kind=KINDS.get(node.op_type, "attention"),  # type: ignore[arg-type]
        size=list(output.shape[1:]),
        kernel=sides.get("kernel_shape"),
        stride=sides.get("strides"),
        parameters=parameters,
    )


def _stages(activations: list[np.ndarray]) -> list[Stage]:
    """The last of the activations (1, C, H, W) of each size."""
    last = {one.shape[2]: one[0] for one in activations if one.ndim == 4}
    stages = []
    for side, maps in last.items():
        order = np.argsort(-maps.sum((1, 2)), kind="stable")[:MAPS]
        shown = maps[order] * (255 / max(float(maps.max()), 1e-9))
        pictures = _sheet(shown.clip(0, 255).astype(np.uint8))
        stages.append(Stage(side=side, channels=len(maps), shown=order.tolist(), maps=pictures))
    return stages


def _kernels(weights: np.ndarray) -> str:
    """The first convolution's weights (C, 1 or 3, H, W) as pictures, in grey or colour; zero is the middle grey."""
    shown = (127.5 + weights * (127.5 / np.abs(weights).max())).round().astype(np.uint8).transpose(0, 2, 3, 1)
    return _sheet(shown[..., 0] if shown.shape[3] == 1 else shown)


def _sheet(pictures: np.ndarray) -> str:
    """Pictures (N, H, W) or (N, H, W, 3) uint8 side by side in rows of COLUMNS, with transparent lines between them."""
    n, height, width, *_ = pictures.shape
    rows = -(-n // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * (width + 1) - 1, rows * (height + 1) - 1))
    for index, picture in enumerate(pictures):
        row, column = divmod(index, COLUMNS)
        sheet.paste(Image.fromarray(picture).convert("RGBA"), (column * (width + 1), row * (height + 1)))
    return data_url(sheet)


def _attention(weights: list[np.ndarray]) -> list[list[list[list[float]]]] | None:
    """Of the softmax of all layers, those (1, heads, 1 + 49, 1 + 49): the first token's row without itself.

    It is no importance: earlier layers have already mixed the patches.
    """
    found = [one[0, :, 0, 1:] for one in weights if one.ndim == 4 and one.shape[2] == one.shape[3] == GRID**2 + 1]
    return [[_listed(head.reshape(GRID, GRID)) for head in heads] for heads in found] or None


def _proposals(tensors: dict[str, np.ndarray]) -> list[Proposal] | None:
    if "proposals" not in tensors:
        return None
    both = zip(tensors["proposals"][0], tensors["objectness"][0], strict=True)
    return [Proposal(box=_box(box), objectness=_share(share)) for box, share in both if share >= LEAST]


def _found(tensors: dict[str, np.ndarray]) -> list[Found] | None:
    if "boxes" not in tensors:
        return None
    both = zip(tensors["boxes"][0], tensors["scores"][0], strict=True)
    return [
        Found(box=_box(box), digit=int(scores.argmax()), score=_share(scores.max()))
        for box, scores in both
        if scores.max() >= LEAST
    ]


def _box(sides: Any) -> list[float]:
    return [round(float(side), 1) for side in sides]


def _share(value: Any) -> float:
    return round(float(value), DECIMALS)


def _listed(values: np.ndarray) -> list[list[float]]:
    return values.astype(float).round(DECIMALS).tolist()


def data_url(image: np.ndarray | Image.Image) -> str:
    """A picture as a PNG in a data: URL."""
    file = BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
