"""Fixtures: small artefacts and a small MNIST, made here, and the real ones if they exist."""

import gzip
import json
import os
import shutil
from hashlib import sha256
from io import BytesIO
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import onnx
import pillow_heif
import pytest
from onnx import TensorProto, helper

from service.inference.artefact import open_finder
from service.picture.ink import FILE

pillow_heif.register_heif_opener()  # for `encode`
REPOSITORY = Path(__file__).parent.parent
# The fields of an answer of /predict, in order, and of /read.
ANSWER = "digit confidence accepted reason note digits_seen agreement models timing_ms device".split()
TEXT = "text transcript note numbers marks digits digits_seen is_number turned timing_ms device".split()
RELEASED = REPOSITORY / "models"
HELPERS = "ink.onnx", "line.onnx"
VOTERS = sorted(json.loads((RELEASED / "consensus.json").read_text())["sha256"])  # the networks that name digits


def encode(image, kind="PNG", **options):
    """The bytes of a Pillow image as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def form(**fields):
    """Arguments of a client's post: files in a multipart form."""
    return {"files": fields}


def raw(content, content_type="image/png"):
    """Arguments of a client's post: bytes as the whole body."""
    return {"content": content, "headers": {"Content-Type": content_type}}


def draw(text, size=(200, 200), scale=5.0, thickness=12):
    """Black type on white, (H, W) uint8, in place of handwriting, because its right answer is certain."""
    picture = np.full(size, 255, np.uint8)
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    corner = (size[1] - width) // 2, (size[0] + height) // 2
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, 0, thickness, cv2.LINE_AA)
    return picture


def write_artefact(path, bias, detector=False):
    """A small ONNX model in the form of an artefact: bright pixels vote for `bias`."""
    weights = np.zeros((784, 10), np.float32)
    weights[:, bias] = 0.1
    nodes = [
        helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    initializers = [onnx.numpy_helper.from_array(weights, "weights")]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])]
    if detector:
        box = onnx.numpy_helper.from_array(np.array([[[4, 4, 24, 24]]], np.float32), "box")
        initializers += [box, onnx.numpy_helper.from_array(np.array([1, 4], np.int64), "rest")]
        nodes += [
            helper.make_node("Shape", ["images"], ["n"], start=0, end=1),
            helper.make_node("Concat", ["n", "rest"], ["shape"], axis=0),
            helper.make_node("Expand", ["box", "shape"], ["boxes"]),
        ]
        outputs.append(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 1, 4]))
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 1, 28, 28])
    graph = helper.make_graph(nodes, path.stem, [images], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"name": path.stem, "parameters": "7840", "family": "a toy"})
    onnx.save(model, path)


def write_consensus(folder):
    """Make a models/ folder complete: its consensus.json, and the released networks that find ink and read lines."""
    names = sorted(path.stem for path in folder.glob("*.onnx") if path.name not in HELPERS)
    for name in HELPERS:
        shutil.copy(RELEASED / name, folder / name)
    keys = [",".join(chosen) for size in range(1, len(names) + 1) for chosen in combinations(names, size)]
    content = {
        "sha256": {name: sha256((folder / f"{name}.onnx").read_bytes()).hexdigest() for name in names},
        "helpers": {Path(name).stem: sha256((folder / name).read_bytes()).hexdigest() for name in HELPERS},
        "temperature": dict.fromkeys(keys, 1.0),
        "threshold": dict.fromkeys(keys, 0.5),
        "figures": {},
    }
    (folder / "consensus.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def small_models(tmp_path_factory):
    """A models/ folder with three artefacts: two say 7, one says 1, one of them with a box. No test may change it."""
    folder = tmp_path_factory.mktemp("models")
    write_artefact(folder / "cnn.onnx", bias=7)
    write_artefact(folder / "faster_rcnn.onnx", bias=7, detector=True)
    write_artefact(folder / "vit.onnx", bias=1)
    write_consensus(folder)
    return folder


@pytest.fixture
def own_models(small_models, tmp_path):
    """A copy of small_models that a test may change."""
    return Path(shutil.copytree(small_models, tmp_path / "models"))


@pytest.fixture(scope="session")
def released():
    """The artefacts of this repository."""
    return RELEASED


@pytest.fixture(scope="session")
def address():
    """Where one real service with the released models answers, for all tests that do not change it."""
    from tests.serving import serving

    with serving(QUINTET_DEVICE="cpu") as address:
        yield address


@pytest.fixture(scope="session")
def finder():
    """The released network that finds ink."""
    return open_finder(RELEASED / FILE)


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """A folder in MNIST's form with 600 + 100 typed digits, moved about."""
    root = tmp_path_factory.mktemp("mnist")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for prefix, count in (("train", 600), ("t10k", 100)):
        labels = np.uint8(np.arange(count) % 10)
        images = np.stack([_typed(label, generator) for label in labels])
        for name, kind, content in (("images", 3, images), ("labels", 1, labels)):
            header = np.array([0x800 + kind, *content.shape], ">i4").tobytes()
            path = raw / f"{prefix}-{name}-idx{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + content.tobytes()))
    return root


def _typed(label, generator):
    picture = 255 - draw(str(label), (28, 28), 0.8, 2)
    shift = generator.integers(-2, 3, 2)
    return np.roll(picture, shift, (0, 1))


@pytest.fixture(scope="session")
def mnist_root():
    """The folder of the real MNIST; tests never download it."""
    for root in (os.environ.get("MNIST_ROOT"), REPOSITORY / "data"):
        if root and (Path(root) / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz").exists():
            return Path(root)
    pytest.skip("MNIST is not here: set MNIST_ROOT or put it into data/")
