"""The application without a server: exact statuses and sentences."""

import gzip
import tempfile
import zlib
from base64 import b64decode, b64encode, encodebytes
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.http import openapi
from service.http.app import create_app
from service.http.observability import Health
from service.recogniser import Recogniser
from service.settings import Settings
from tests.conftest import ANSWER, draw, encode, form, raw


def test_upload_as_a_form_field(client, seven):
    answer = client.post("/predict", files={"image": ("photo.png", seven, "image/png")})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ANSWER
    assert (body["digit"], body["agreement"], body["device"]) == (7, 2, "cpu")
    assert [model["name"] for model in body["models"]] == ["cnn", "faster_rcnn", "vit"]
    assert [model["digit"] for model in body["models"]] == [7, 7, 1]
    assert all(len(model["probabilities"]) == 10 and model["latency_ms"] > 0 for model in body["models"])
    assert list(body["timing_ms"]) == ["decode", "canonicalise", "queue", "inference", "total"]


def test_only_faster_rcnn_gives_a_box_in_pixels_of_the_upload(client, seven):
    models = client.post("/predict", files={"image": seven}).json()["models"]
    assert ["box" in model for model in models] == [False, True, False]
    x_min, y_min, x_max, y_max = models[1]["box"]
    assert 0 <= x_min < x_max <= 200 and 0 <= y_min < y_max <= 200
    assert 80 < y_max - y_min < 140


@pytest.mark.parametrize("content_type", ["image/jpg", "image/x-whatever; a=b", "application/octet-stream"])
def test_raw_body_is_decoded_by_its_content_not_its_type(client, seven, content_type):
    answer = client.post("/predict", content=seven, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["digit"]) == (200, 7)


def test_models_are_chosen_by_name(client, seven):
    body = client.post("/predict?models=vit", files={"image": seven}).json()
    assert [model["name"] for model in body["models"]] == ["vit"]
    assert (body["digit"], body["agreement"]) == (1, 1)


def test_explanation_has_the_28x28_image_that_the_models_saw(client, seven):
    body = client.post("/predict?explain=true", files={"image": seven}).json()
    kind, data = body["explain"]["image"].split(",")
    image = np.asarray(Image.open(BytesIO(b64decode(data))))
    assert kind == "data:image/png;base64"
    assert image.shape == (28, 28) and image.max() == 255


GZIP, BROTLI = ({"headers": {"Content-Type": "image/png", "Content-Encoding": name}} for name in ("gzip", "br"))
TOO_LARGE = "The upload is larger than the limit of 100,000 bytes."
NO_BASE64 = "The JSON field 'image' holds text, but no base64; send the file itself (an address is never fetched)."
NO_IMAGE = "This is text; send a picture, as PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF."
BLANK = "The image is blank: no ink stands out from the background."
FORM = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n\xff\xfe\xfd\r\n--x--\r\n'
CHARSET = "The multipart body is damaged: its text is not in the charset it names."
EMPTY = "The upload is empty; send the bytes of a PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF."


@pytest.mark.parametrize(
    "request_, status, message",
    [
        (raw(b""), 400, EMPTY),
        ({}, 400, EMPTY),
        (form(image=("photo.png", b"", "image/png")), 400, EMPTY),
        (form(image=("photo.png", b"I am text", "image/png")), 400, NO_IMAGE),
        (raw(encode(Image.new("RGBA", (300, 300)))), 400, BLANK),
        (raw(bytes(100_001)), 413, TOO_LARGE),
        (raw(iter([bytes(10_000)] * 11)), 413, TOO_LARGE),  # without a declared length
        (form(image=bytes(100_001)), 413, TOO_LARGE),
        (raw(gzip.compress(bytes(10**6))) | GZIP, 413, TOO_LARGE),
        (form(image=(None, "http://127.0.0.1:1/digit.png")), 422, NO_BASE64.replace("JSON", "multipart")),
        (
            raw(b"x", "text/plain"),
            415,
            "Content-Type 'text/plain' is not allowed; "
            "send the image as the multipart field 'image', as an image/* body or as base64 in JSON.",
        ),
        (raw(b"{", "application/json"), 400, "The JSON of the request cannot be parsed."),
        (
            raw(b"[" * 10_000, "application/json"),
            413,
            "The JSON has 10000 opening brackets; the largest request needs 20.",
        ),
        ({"json": []}, 422, "The JSON of the body is not an object with the field 'image'."),
        ({"json": {"picture": ""}}, 422, "The JSON field 'image' is missing; the fields sent: 'picture'."),
        ({"json": {"image": 7}}, 422, "The JSON field 'image' must hold base64 or a data: URL."),
        ({"json": {"image": "data:image/png;base64,?"}}, 422, NO_BASE64),
        ({"json": {"image": b64encode(bytes(100_001)).decode()}}, 413, TOO_LARGE),
        (raw(b"no stream") | GZIP, 400, "The body is not a valid gzip stream."),
        (
            raw(gzip.compress(b"x" * 99)[:-9]) | GZIP,
            400,
            "The gzip stream in the body is cut off, or other bytes follow it.",
        ),
        (raw(b"x") | BROTLI, 415, "Content-Encoding 'br' is not allowed; send gzip, deflate or none."),
        (raw(FORM, "multipart/form-data; boundary=x; charset=undefined"), 400, CHARSET),
        (raw(b"x", "multipart/form-data"), 400, "The multipart body is damaged: Missing boundary in multipart."),
    ],
)
def test_bad_input_gets_its_status_and_one_sentence(client, request_, status, message):
    answer = client.post("/predict", **request_)
    assert (answer.status_code, answer.json()) == (status, {"error": message})


def test_name_and_type_of_a_file_and_further_fields_do_not_matter(client, seven):
    file = "../../etc/passwd", seven, "text/html"
    answer = client.post("/predict", files={"image": file, "other": b"x"}, data={"a": "1"})
    assert (answer.status_code, answer.json()["digit"]) == (200, 7)


def test_no_upload_is_written_to_the_disk(small_models, monkeypatch):
    """Starlette's parser wrote files of more than 1 MB to the disk; a container may have none to write to."""
    upload = encode(Image.fromarray(draw("7", (1_200, 1_200), 30.0, 72)), "BMP")
    client = TestClient(create_app(Recogniser(small_models, "cpu", threads=1)))
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert len(upload) > 2**20 and client.post("/predict", files={"image": upload}).json()["digit"] == 7


def test_batch_answers_in_order_and_a_bad_image_affects_no_other(client, seven):
    uploads = [seven, b"text", encode(Image.fromarray(draw("1"))), encode(Image.new("L", (9, 9)))]
    answer = client.post("/predict/batch?models=cnn,faster_rcnn", files=[("images", data) for data in uploads])
    assert answer.status_code == 200
    first, second, third, fourth = answer.json()
    assert (first["digit"], third["digit"]) == (7, 7)
    assert (second, fourth) == ({"error": NO_IMAGE, "status": 400}, {"error": BLANK, "status": 400})
    alone = client.post("/predict?models=cnn,faster_rcnn", files={"image": uploads[2]}).json()
    for found, expected in zip(third["models"], alone["models"], strict=True):
        assert found["probabilities"] == expected["probabilities"]
        assert found.get("box") == expected.get("box")
    assert list(third["timing_ms"]) == list(alone["timing_ms"])


@pytest.mark.parametrize(
    "request_, status, message",
    [
        ({}, 400, "The upload is empty; send the images as multipart fields 'images'."),
        ({"files": [("images", b"x")] * 33}, 413, "There are 33 images; the limit is 32."),
        ({"files": [("images", b"x")] * 50}, 413, "There are more than 42 fields; the limit is 32 images."),
        (form(image=b"x"), 422, "The multipart field 'images' is missing; the fields sent: 'image'."),
        (
            raw(b"x"),
            415,
            "Content-Type 'image/png' is not allowed; "
            "send the images as multipart fields 'images' or as a list of base64 in JSON.",
        ),
        ({"files": [("images", bytes(60_000))] * 2}, 413, TOO_LARGE),
        ({"json": {"images": ["AAAA"] * 33}}, 413, "There are 33 images; the limit is 32."),
        ({"json": {"images": [7]}}, 422, "The JSON field 'images' must hold base64 or a data: URL."),
    ],
)
def test_bad_batch_gets_its_status_and_one_sentence(client, request_, status, message):
    answer = client.post("/predict/batch", **request_)
    assert (answer.status_code, answer.json()) == (status, {"error": message})


@pytest.mark.parametrize(
    "path, known", [("/predict", ""), ("/predict/batch", ""), ("/read", ", turn")], ids=["one", "batch", "read"]
)
@pytest.mark.parametrize(
    "query, sentence",
    [
        ("model=cnn", "Unknown parameter 'model'; did you mean 'models'?"),
        ("x=1", "Unknown parameter 'x'; there are: models, explain{known}."),
        ("models=cnn&models=vit", "Parameter 'models' is given twice."),
        ("explain=perhaps", "Parameter 'explain': Input should be a valid boolean, unable to interpret input."),
    ],
)
def test_wrong_parameter_is_422(client, seven, path, known, query, sentence):
    """Bug: `?model=cnn` was ignored, and all models answered."""
    answer = client.post(f"{path}?{query}", files={"image": seven})
    assert (answer.status_code, answer.json()) == (422, {"error": sentence.replace("{known}", known)})


@pytest.mark.parametrize("route", ["/predict", "/read"])
@pytest.mark.parametrize("start", ["", "data:image/png;base64,", "data:;base64,"])
@pytest.mark.parametrize("encode_", [b64encode, encodebytes], ids=["one line", "lines"])
def test_image_as_base64_is_read(client, seven, route, start, encode_):
    text = start + encode_(seven).decode()
    for request in ({"json": {"image": text}}, {"files": {"image": (None, text)}}):
        answer = client.post(route, **request)
        assert answer.status_code == 200 and answer.json()["digits_seen"] == 1


def test_batch_as_base64_is_read(client, seven):
    texts = [b64encode(data).decode() for data in (seven, b"text")]
    first, second = client.post("/predict/batch", json={"images": texts}).json()
    assert (first["digit"], second["error"]) == (7, NO_IMAGE)


@pytest.mark.parametrize("name, compress", [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_compressed_body_is_read(client, seven, name, compress):
    headers = {"Content-Type": "image/png", "Content-Encoding": name}
    answer = client.post("/predict", content=compress(seven), headers=headers)
    assert (answer.status_code, answer.json()["digit"]) == (200, 7)


def test_formats_are_those_of_the_settings(small_models, seven):
    settings = Settings(models=small_models, device="cpu", formats=("PNG",))
    jpeg = encode(Image.fromarray(draw("7")), "JPEG")
    client = TestClient(create_app(Recogniser(settings=settings)))
    answers = [client.post("/predict", files={"image": image}) for image in (seven, jpeg)]
    assert [answer.status_code for answer in answers] == [200, 400]


def test_wrong_method_gets_one_sentence(client):
    answer = client.get("/predict")
    assert (answer.status_code, answer.json()) == (405, {"error": "GET is not allowed here; use POST."})


def test_fault_of_the_service_gets_one_sentence(app, client, seven, monkeypatch):
    """Bug: the framework's own answer was text/plain."""

    def fail(*_):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(app.app.state.recogniser.predictor, "choose", fail)
    answer = client.post("/predict", files={"image": seven})
    assert (answer.status_code, answer.json()) == (500, {"error": "The service failed; its log says why."})


def test_lost_device_is_503_and_is_reported(small_models, seven):
    """Bug: every later request got a 500, but /readyz still reported success."""
    told = []
    recogniser = Recogniser(small_models, "cpu", threads=1)

    class Failing:
        def run(self, *_):
            raise RuntimeError("CUDA failure 999")

    artefacts = recogniser.predictor.artefacts
    artefacts["cnn"] = replace(artefacts["cnn"], session=Failing())
    health = Health(on_failure=lambda: told.append(1))
    client = TestClient(create_app(recogniser, health))
    for _ in range(2):
        answer = client.post("/predict", files={"image": seven})
        assert (answer.status_code, answer.json()) == (503, {"error": openapi.ERRORS[503][1]})
    assert told == [1]
    assert [client.get(path).status_code for path in ("/readyz", "/health", "/v2/health/ready")] == [503] * 3
    assert client.get("/livez").status_code == 200


def test_models_describe_themselves(client):
    body = client.get("/models").json()
    assert [model["name"] for model in body] == ["cnn", "faster_rcnn", "vit"]
    assert body[0]["device"] == "cpu"
    assert body[0]["metadata"]["parameters"] == 7840
    assert len(body[0]["sha256"]) == 64
