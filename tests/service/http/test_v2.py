"""The Open Inference Protocol in this process; test_v2_clients.py has other people's clients ask a real server."""

import base64
import gzip
import json
import zlib

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.http.tensors import JSON_LENGTH
from tests.conftest import draw, encode

BRIGHT = np.full((2, 1, 28, 28), 255, np.uint8)  # the small models vote for 7, 7 and 1
VERDICT = ("digit", "confidence", "accepted", "agreement")


def images(array=BRIGHT, **changes):
    return {"name": "images", "datatype": "UINT8", "shape": list(array.shape), "data": array.tolist()} | changes


def binary(array=BRIGHT, **request):
    """The body of a request whose tensor follows the JSON, and the header that says so."""
    tensor = images(array, parameters={"binary_data_size": array.nbytes})
    del tensor["data"]
    text = json.dumps({"inputs": [tensor]} | request).encode()
    return text + array.tobytes(), {JSON_LENGTH: str(len(text))}


def photographs(*files):
    content = b"".join(len(data).to_bytes(4, "little") + data for data in files)
    parameters = {"binary_data_size": len(content)}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(files)], "parameters": parameters}
    text = json.dumps({"inputs": [tensor]}).encode()
    return text + content, {JSON_LENGTH: str(len(text))}


def infer(client, model, request, **headers):
    return client.post(f"/v2/models/{model}/infer", json=request, headers=headers)


def tensors(answer):
    """{name: array} of a JSON answer."""
    return {out["name"]: np.reshape(out["data"], out["shape"]) for out in answer.json()["outputs"]}


def test_server_gives_its_name_and_is_ready(client: TestClient):
    about = client.get("/v2").json()
    assert (about["name"], about["extensions"]) == ("quintet", ["binary_tensor_data"])
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"live": True, "ready": True}
    names = [model["name"] for model in client.post("/v2/repository/index").json()]
    assert names == ["cnn", "faster_rcnn", "vit", "consensus", "photograph"]
    assert client.get("/v2/models/vit/ready").json() == {"name": "vit", "ready": True}


@pytest.mark.parametrize("path", ["", "/config", "/ready", "/infer", "/versions/1/infer"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_model_gets_the_known_names(client, method, path):
    answer = client.request(method, f"/v2/models/resnet{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json() == {"error": "Unknown model; the models are: cnn, faster_rcnn, vit, consensus, photograph."}


@pytest.mark.parametrize("path", ["/v2/models/cnn", "/v2/models/cnn/versions/1"])
def test_metadata_are_those_of_the_artefact(client, path):
    assert client.get(path).json() == {
        "name": "cnn",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 28, 28]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
    }


def test_config_has_dims_without_the_batch_axis(client):
    config = client.get("/v2/models/consensus/config").json()
    assert (config["max_batch_size"], config["dynamic_batching"]) == (1024, {})
    assert config["input"] == [{"name": "images", "data_type": "TYPE_UINT8", "dims": [1, 28, 28]}]
    assert [output["dims"] for output in config["output"]] == [[1], [1], [1], [1], [10]]
    photograph = client.get("/v2/models/photograph/config").json()
    assert photograph["max_batch_size"] == 0
    assert photograph["input"] == [{"name": "image", "data_type": "TYPE_STRING", "dims": [-1]}]


@pytest.mark.parametrize("data", [BRIGHT.tolist(), BRIGHT.ravel().tolist()], ids=["nested", "flat"])
def test_json_tensors(client, data):
    answer = infer(client, "cnn", {"id": "a", "inputs": [images(data=data)]})
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert (content["model_name"], content["model_version"], content["id"]) == ("cnn", "1", "a")
    assert tensors(answer)["probabilities"].argmax(1).tolist() == [7, 7]


def test_consensus_is_the_verdict_of_all_models(client):
    answer = tensors(infer(client, "consensus", {"inputs": [images()]}))
    assert list(answer) == [*VERDICT, "probabilities"]
    assert (answer["digit"].tolist(), answer["agreement"].tolist()) == ([7, 7], [2, 2])
    np.testing.assert_allclose(answer["probabilities"].max(1), answer["confidence"])
    np.testing.assert_allclose(answer["probabilities"].sum(1), 1)


def test_image_without_ink_is_not_accepted(client):
    """Bug: zeros were a 1, accepted, and all networks agreed."""
    mixed = np.concatenate([BRIGHT[:1], np.zeros((2, 1, 28, 28), np.uint8)])
    answer = tensors(infer(client, "consensus", {"inputs": [images(mixed)]}))
    assert answer["accepted"].tolist() == [True, False, False]


def test_each_image_of_a_request_gets_its_own_answer(client):
    """Bug of a first draft: all images of a request got the answer of the first."""
    mixed = np.concatenate([BRIGHT, np.zeros((50, 1, 28, 28), np.uint8)])
    body, header = binary(mixed)
    probabilities = tensors(client.post("/v2/models/cnn/infer", content=body, headers=header))["probabilities"]
    np.testing.assert_allclose(probabilities[2:], 0.1, atol=1e-6)
    assert (probabilities[:2, 7] > 0.9).all()


@pytest.mark.parametrize(
    "compress", [(None, lambda body: body), ("gzip", gzip.compress), ("deflate", zlib.compress)], ids=lambda c: c[0]
)
def test_binary_tensors_both_ways(client, compress):
    """The header counts the JSON before compression: of bright images it is larger than the whole body."""
    encoding, pack = compress
    body, header = binary(outputs=[{"name": "digit"}, {"name": "confidence", "parameters": {"binary_data": True}}])
    headers = header | ({"Content-Encoding": encoding} if encoding else {})
    answer = client.post("/v2/models/consensus/infer", content=pack(body), headers=headers)
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers[JSON_LENGTH])
    digit, confidence = json.loads(answer.content[:length])["outputs"]
    assert digit == {"name": "digit", "datatype": "INT64", "shape": [2], "data": [7, 7]}
    assert confidence["parameters"] == {"binary_data_size": 8}
    assert (np.frombuffer(answer.content[length:], "<f4") > 0.5).all()


def test_all_outputs_but_one_can_be_binary(client):
    request = {
        "inputs": [images()],
        "parameters": {"binary_data_output": True},
        "outputs": [{"name": "accepted"}, {"name": "agreement", "parameters": {"binary_data": False}}],
    }
    answer = infer(client, "consensus", request)
    length = int(answer.headers[JSON_LENGTH])
    assert answer.content[length:] == b"\1\1"
    assert json.loads(answer.content[:length])["outputs"][1]["data"] == [2, 2]


def test_photographs_are_read_as_predict_reads_them(client):
    files = [encode(Image.fromarray(draw("7"))), encode(Image.fromarray(draw("1")), "JPEG")]
    body, header = photographs(*files)
    answer = tensors(client.post("/v2/models/photograph/infer", content=body, headers=header))
    predictions = [client.post("/predict", files={"image": data}).json() for data in files]
    for name in ("digit", "accepted", "agreement"):
        assert answer[name].tolist() == [prediction[name] for prediction in predictions]
    texts = [base64.b64encode(data).decode() for data in files]
    as_json = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": texts}]}
    assert tensors(infer(client, "photograph", as_json))["digit"].tolist() == answer["digit"].tolist()


WRONG = [
    ({}, "The JSON of the request is wrong at 'inputs': Field required."),
    ([], "The JSON of the request is wrong at 'request': Input should be a valid dictionary or instance of Infer."),
    ({"inputs": []}, "The inputs are none; this model takes one, 'images'."),
    ({"inputs": [images(), images()]}, "The inputs are 'images', 'images'; this model takes one, 'images'."),
    ({"inputs": [images(datatype="FP32")]}, "Input 'images' has datatype 'FP32'; it is UINT8."),
    *(
        (
            {"inputs": [images(shape=shape, data=[])]},
            f"Input 'images' has shape {shape}; it must be [-1, 1, 28, 28], where -1 is 1 to 1024.",
        )
        for shape in ([2, 28, 28], [-1, 1, 28, 28], [0, 1, 28, 28])
    ),
    ({"inputs": [images(shape=[1_025, 1, 28, 28])]}, "There are 1025 images; the limit is 1024."),
    ({"inputs": [images(shape=[1, 1, 28, 28])]}, "Input 'images' has shape [1, 1, 28, 28], but 1568 numbers."),
    ({"inputs": [images(data=[[1], [2, 3]])]}, "The data of input 'images' must be numbers, nested evenly."),
    ({"inputs": [images(data=[0.5] * 1568)]}, "The data of input 'images' must be whole numbers from 0 to 255."),
    ({"inputs": [images(data=[256] * 1568)]}, "The data of input 'images' must be whole numbers from 0 to 255."),
    (
        {"inputs": [images(parameters={"binary_data_size": 5})]},
        "Input 'images' has both 'data' and 'binary_data_size'; send one of them.",
    ),
    (
        {"inputs": [images(data=None, parameters={"binary_data_size": 5})]},
        "Input 'images' has binary_data_size 5, but 0 bytes follow the JSON.",
    ),
    (
        {"inputs": [images()], "parameters": {"sequence_id": 1}},
        "Parameter 'sequence_id': this service does not support sequences.",
    ),
    (
        {"inputs": [images(parameters={"shared_memory_region": "x"})]},
        "Parameter 'shared_memory_region': this service does not support shared memory.",
    ),
    ({"inputs": [images()], "outputs": [{"name": "x"}]}, "Unknown output 'x'; the outputs are: probabilities."),
]


@pytest.mark.parametrize(("request_", "sentence"), WRONG)
def test_wrong_requests_get_one_sentence(client, request_, sentence):
    answer = infer(client, "cnn", request_)
    assert (answer.status_code, answer.json()) == (413 if "limit" in sentence else 400, {"error": sentence})
    assert answer.headers["content-type"] == "application/json"


BODY, HEADER = binary()
UNPARSED = "The JSON of the request cannot be parsed."
TOO_LARGE = "The upload is larger than the limit of 100,000 bytes."
WRONG_BODIES = [
    *((body, {}, 400, UNPARSED) for body in (b"{", b"[" * 5_000, b"\xff", BODY)),
    (BODY, {JSON_LENGTH: "x"}, 400, f"The header {JSON_LENGTH} is 'x'; it must be a number of bytes."),
    (BODY, {JSON_LENGTH: "9999"}, 400, f"The header {JSON_LENGTH} is 9999, but the body has {len(BODY)} bytes."),
    (BODY + b"x", HEADER, 400, "Input 'images' has binary_data_size 1568, but 1569 bytes follow the JSON."),
    (bytes(200_000), {}, 413, TOO_LARGE),
    (b"[" * 100_000, {}, 413, "The JSON has 100000 opening brackets; the largest request needs 31944."),
]


@pytest.mark.parametrize(("body", "headers", "status", "sentence"), WRONG_BODIES)
def test_wrong_bodies_get_one_sentence(client, body, headers, status, sentence):
    answer = client.post("/v2/models/cnn/infer", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})


def test_error_of_a_photograph_names_its_place(client):
    seven = encode(Image.fromarray(draw("7")))
    body, header = photographs(seven, b"text")
    answer = client.post("/v2/models/photograph/infer", content=body, headers=header)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("Image 1: ")


@pytest.mark.parametrize(
    "cut, old, new, sentence",
    [
        (1, b'_size": 6', b'_size": 5', "An element of input 'image' is longer than the rest of the body."),
        (0, b'"shape": [1]', b'"shape": [2]', "Input 'image' has shape [2], but another number of elements."),
    ],
)
def test_elements_must_fill_their_tensor(client, cut, old, new, sentence):
    body, header = photographs(b"ab")
    body = body[: len(body) - cut].replace(old, new)
    answer = client.post("/v2/models/photograph/infer", content=body, headers=header)
    assert (answer.status_code, answer.json()) == (400, {"error": sentence})
