"""The released artefacts have the figures that their metadata claims."""

import cv2
import numpy as np
import onnxruntime
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.http.app import create_app
from service.inference.artefact import open_artefact
from service.inference.predictor import Predictor
from service.reading.reader import read
from service.recogniser import Recogniser
from tests.conftest import VOTERS, draw, encode
from training import networks
from training.data import mnist

GOAL = {"faster_rcnn": 0.985} | dict.fromkeys(("alexnet", "cnn", "vgg16", "vit"), 0.992)  # another network has none


@pytest.fixture(scope="module")
def client(released):
    return TestClient(create_app(Recogniser(released, "cpu", threads=2)))


def test_every_network_is_released_and_together_they_are_small(released):
    assert VOTERS == networks.voters()
    assert sum(path.stat().st_size for path in released.rglob("*")) < 40 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("name", VOTERS)
def test_accuracy_on_the_test_set_is_the_one_it_claims(released, mnist_root, name):
    images, labels = mnist.load("test", mnist_root)
    artefact = open_artefact(released / f"{name}.onnx", "cpu", threads=2)
    parts = np.array_split(images.numpy(), 50)
    digits = np.concatenate([artefact.session.run(None, {"images": part})[0].argmax(1) for part in parts])
    accuracy = (digits == labels.numpy()).mean()
    assert accuracy >= GOAL.get(name, 0.0)
    # One image more or less: other processors round otherwise.
    assert accuracy == pytest.approx(artefact.metadata["test_accuracy"], abs=1.5e-4)


@pytest.mark.slow
def test_over_http_each_model_says_what_its_file_says(client, released, mnist_root):
    images = mnist.load("test", mnist_root)[0][::100]  # 100 images
    expected = {}
    for name in VOTERS:
        session = onnxruntime.InferenceSession(released / f"{name}.onnx", providers=["CPUExecutionProvider"])
        expected[name] = session.run(None, {"images": images.numpy()})[0].argmax(1).tolist()
    found = {name: [] for name in VOTERS}
    for image in images[:, 0].numpy():
        answer = client.post("/predict", files={"image": encode(Image.fromarray(image))}).json()
        for model in answer["models"]:
            found[model["name"]].append(model["digit"])
    assert found == expected


@pytest.mark.parametrize("digit", range(10))
def test_a_typed_digit_is_read(client, digit):
    """Type is not handwriting, but a service that cannot read type cannot read anything."""
    answer = client.post("/predict", files={"image": encode(Image.fromarray(draw(str(digit))))}).json()
    assert answer["digit"] == digit


# overlap: in pixels; a digit is 20 high
@pytest.mark.parametrize("overlap, least", [(0, 0.95), (1, 0.8), (2, 0.6)])
def test_lines_of_digits_are_read_though_they_touch(released, mnist_root, overlap, least):
    images, labels = (tensor.numpy() for tensor in mnist.load("validation", mnist_root))
    predictor, right = Predictor(released, "cpu", threads=2), 0
    for start in range(0, 160, 4):
        line = np.zeros((60, 200), np.uint8)
        x = 30
        for image in images[start : start + 4, 0]:
            columns = np.flatnonzero((image > 100).any(0))
            digit = image[:, columns[0] : columns[-1] + 1]
            place = line[16:44, x : x + digit.shape[1]]
            np.maximum(place, digit, out=place)
            x += digit.shape[1] - overlap
        picture = cv2.resize(255 - line, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
        found = read(picture, predictor, predictor.finder, predictor.names).text.replace(" ", "")
        right += found == "".join(map(str, labels[start : start + 4]))
    assert right >= least * 40


def test_faster_rcnn_finds_each_digit_of_a_row(released, mnist_root):
    images, labels = (tensor[:24].numpy() for tensor in mnist.load("validation", mnist_root))
    session = onnxruntime.InferenceSession(released / "faster_rcnn.onnx", providers=["CPUExecutionProvider"])
    right = 0
    for start in range(0, 24, 6):
        row = np.concatenate(list(images[start : start + 6, 0]), 1)[None, None]
        boxes, scores = session.run(["boxes", "scores"], {"images": row})
        sure = scores[0].max(1) > 0.5
        order = boxes[0, sure, 0].argsort()
        right += scores[0, sure].argmax(1)[order].tolist() == labels[start : start + 6].tolist()
    assert right >= 3
