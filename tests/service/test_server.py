"""A real `bentoml serve` in a process of its own."""

import os
import socket
import subprocess
import sys

import httpx2
import pytest
from PIL import Image

from tests.conftest import REPOSITORY, VOTERS, draw, encode
from tests.serving import QUICK, START, command, free_port, serving


@pytest.mark.slow
def test_served_by_bentoml(server):
    address = server.address
    for path in ("/", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/health", "/models"):
        assert httpx2.get(address + path).status_code == 200, path
    seven = encode(Image.fromarray(draw("7")))
    answer = httpx2.post(f"{address}/predict", files={"image": seven})
    assert (answer.status_code, answer.json()["digit"]) == (200, 7)
    refused = httpx2.post(f"{address}/predict", files={"image": ("x.png", b"text")})
    assert (refused.status_code, list(refused.json())) == (400, ["error"])

    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 28, 28], "data": [255] * 784}
    said = httpx2.post(f"{address}/v2/models/consensus/infer", json={"inputs": [tensor]})
    assert said.json()["outputs"][0]["data"] == [7]
    assert httpx2.get(f"{address}/schema.json").status_code == 404  # BentoML's own routes are not to be had
    assert "Traceback" not in server.log.read_text()
    assert "/predict" not in server.log.read_text()  # nor a line for each request, unless that is asked for


@pytest.mark.slow
def test_head_of_a_request_is_limited_in_front_of_everything(server):
    host, port = server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=START) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000)
        assert connection.recv(12) == b"HTTP/1.1 431"


def refusal(**environment):
    """The exit status and message of a service that must not start."""
    ended = subprocess.run(
        command("service.bento:Quintet", free_port()),
        cwd=REPOSITORY,
        env=os.environ | QUICK | environment,
        timeout=START,
        capture_output=True,
        text=True,
    )
    return ended.returncode, ended.stderr.strip().splitlines()[-1]


def test_damaged_artefact_stops_the_start(own_models):
    (own_models / "cnn.onnx").write_bytes(b"damaged")
    status, message = refusal(QUINTET_MODELS=str(own_models))
    assert status == 1
    assert message.startswith("Quintet does not start: ") and "cnn.onnx is not the file that was released" in message


def test_setting_that_is_not_allowed_stops_the_start():
    """Bug: a misspelt name was ignored."""
    found = refusal(QUINTET_DEVISE="cpu")
    assert found == (1, "Quintet does not start: QUINTET_DEVISE is not a setting; did you mean QUINTET_DEVICE?")


@pytest.mark.slow
def test_bento_is_built_and_serves(released, tmp_path):
    home = {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "true"}
    build = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    built = subprocess.run(build, cwd=REPOSITORY, env=os.environ | home, capture_output=True, text=True, check=True)
    tag = built.stdout.strip().splitlines()[-1].removeprefix("__tag__:")
    # Not from the repository: what is served has to be in the Bento.
    with serving(tag, cwd=tmp_path, QUINTET_DEVICE="cpu", **home) as address:
        served = {model["name"] for model in httpx2.get(f"{address}/models").json()}
        assert served == set(VOTERS)
        answer = httpx2.post(f"{address}/predict", files={"image": encode(Image.fromarray(draw("7")))}).json()
        assert answer["digit"] == 7 and "text/html" in httpx2.get(address).headers["content-type"]
