"""A real `bentoml serve` in a process of its own."""

import os
import re
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


@pytest.mark.slow
def test_limits_hold_for_every_route(small_models, capfd):
    key = {"Authorization": "Bearer open sesame"}
    settings = {"QUINTET_API_KEY": "open sesame", "QUINTET_MAX_BYTES": "100000", "QUINTET_FORMATS": "PNG"}
    settings["QUINTET_ACCESS_LOG"] = "true"
    origin = {"Origin": "https://a.example"}
    with serving(
        QUINTET_MODELS=str(small_models), QUINTET_DEVICE="cpu", QUINTET_CORS_ORIGINS=origin["Origin"], **settings
    ) as address:
        for path in ("/predict", "/predict/batch", "/v2/models/cnn/infer"):
            refused = httpx2.post(address + path, headers=origin)
            assert (refused.status_code, list(refused.json())) == (401, ["error"]), path
            assert refused.headers["access-control-allow-origin"] == origin["Origin"], path
            assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
            headers = key | {"Content-Type": "image/png" if path == "/predict" else "multipart/form-data"}
            too_large = httpx2.post(address + path, content=endless(), headers=headers)
            assert (too_large.status_code, list(too_large.json())) == (413, ["error"]), path
            asked = httpx2.options(address + path, headers=origin | {"Access-Control-Request-Method": "POST"})
            assert (asked.status_code, asked.text) == (200, "OK"), path
        for path in ("/models", "/metrics"):
            assert httpx2.get(address + path).status_code == 401, path
            assert httpx2.get(address + path, headers=key).status_code == 200, path
        for path in ("/", "/page/page.js", "/livez", "/readyz", "/docs", "/openapi.json"):
            assert httpx2.get(address + path).status_code == 200, path
        seven = Image.fromarray(draw("7"))
        for kind, status in (("PNG", 200), ("JPEG", 400)):
            answer = httpx2.post(f"{address}/predict", files={"image": encode(seven, kind)}, headers=key)
            assert answer.status_code == status
        with socket.create_server(("127.0.0.1", 0)) as trap:
            trap.setblocking(False)
            url = f"http://127.0.0.1:{trap.getsockname()[1]}/digit.png".encode()
            for path, field in (("/predict", "image"), ("/predict/batch", "images")):
                text = httpx2.post(address + path, files={field: (None, url)}, headers=key)
                assert text.status_code == 422
            with pytest.raises(BlockingIOError):  # nobody came for it
                trap.accept()
        unknown = httpx2.get(f"{address}/hostile%0aline")
        assert (unknown.status_code, list(unknown.json())) == (404, ["error"])
        metrics = httpx2.get(f"{address}/metrics", headers=key).text
        assert "hostile" not in metrics and 'route="unmatched",status="404"' in metrics
        assert 'route="/predict",status="413"' in metrics
    captured = capfd.readouterr()
    log = captured.out + captured.err
    assert len(re.findall("GET /models 200", log)) == len(re.findall("GET /models 401", log)) == 1
    assert "hostile" not in log and "GET unmatched 404" in log


def endless():
    while True:
        yield bytes(10_000)


def refusal(port=None, **environment):
    """The exit status and message of a service that must not start."""
    ended = subprocess.run(
        command("service.bento:Quintet", port or free_port()),
        cwd=REPOSITORY,
        env=os.environ | QUICK | environment,
        timeout=START,
        capture_output=True,
        text=True,
    )
    return ended.returncode, ended.stderr.strip().splitlines()[-1]


def test_damaged_artefact_stops_the_start(small_models):
    (small_models / "cnn.onnx").write_bytes(b"damaged")
    status, message = refusal(QUINTET_MODELS=str(small_models))
    assert status == 1
    assert message.startswith("Quintet does not start: ") and "cnn.onnx is not the file that was released" in message


def test_setting_that_is_not_allowed_stops_the_start():
    """Bug: a misspelt name was ignored."""
    found = refusal(QUINTET_DEVISE="cpu")
    assert found == (1, "Quintet does not start: QUINTET_DEVISE is not a setting; did you mean QUINTET_DEVICE?")


def test_port_in_use_stops_the_start_with_one_sentence(small_models):
    """Bug: the reason was the last of 54 lines."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, message = refusal(port, QUINTET_MODELS=str(small_models))
    reason = f"cannot listen on port {port} of 127.0.0.1: something else listens there; choose another port."
    assert (status, message) == (1, f"Quintet does not start: {reason}")


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
