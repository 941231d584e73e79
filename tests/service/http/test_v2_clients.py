"""Other people's clients of the Open Inference Protocol, against a real server.

They do not go into the environment of the other tests (kserve wants an older psutil). In one of their own:

    pip install '.[clients]' && python -m pytest tests/service/http/test_v2_clients.py
"""

import asyncio

import numpy as np
import pytest
from PIL import Image

from tests.conftest import draw, encode

triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed: extra `clients`")
rest = pytest.importorskip("kserve.inference_client", reason="kserve is not installed: extra `clients`")
protocol = pytest.importorskip("kserve.protocol.infer_type", reason="kserve is not installed: extra `clients`")

pytestmark = pytest.mark.slow
MODELS = ["cnn", "faster_rcnn", "vit", "consensus", "photograph"]
BRIGHT = np.full((40, 1, 28, 28), 255, np.uint8)  # more than go into a batch
BRIGHT[1::2] = 0


@pytest.fixture
def client(server):
    client = triton.InferenceServerClient(server.address.removeprefix("http://"))
    yield client
    client.close()


def images(as_binary):
    tensor = triton.InferInput("images", list(BRIGHT.shape), "UINT8")
    tensor.set_data_from_numpy(BRIGHT, binary_data=as_binary)
    return [tensor]


def test_triton_client_finds_the_server_and_its_models(client):
    assert client.is_server_live() and client.is_server_ready()
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert [model["name"] for model in client.get_model_repository_index()] == MODELS
    for model in MODELS:
        for version in ("", "1"):
            assert client.is_model_ready(model, version)
            assert client.get_model_metadata(model, version)["versions"] == ["1"]
            assert client.get_model_config(model, version)["name"] == model
    assert not client.is_model_ready("resnet")


@pytest.mark.parametrize("compression, version", [(None, ""), ("gzip", "1"), ("deflate", "")])
@pytest.mark.parametrize("as_binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("outputs", [None, [True, False]])
def test_triton_client_infers_in_json_and_binary(client, version, as_binary, compression, outputs):
    names = ("digit", "probabilities")
    asked = outputs and [
        triton.InferRequestedOutput(name, binary_data=binary) for name, binary in zip(names, outputs, strict=True)
    ]
    coded = {"request_compression_algorithm": compression, "response_compression_algorithm": compression}
    result = client.infer("consensus", images(as_binary), version, asked, request_id="17", **coded)
    assert result.get_response()["id"] == "17"
    assert result.as_numpy("digit").tolist()[::2] == [7] * 20
    assert result.as_numpy("probabilities").dtype == np.float32
    np.testing.assert_allclose(result.as_numpy("probabilities").sum(1), [1] * 40, rtol=1e-5)


def test_triton_client_sends_photographs(client):
    files = [encode(Image.fromarray(draw("7"))), encode(Image.fromarray(draw("7")), "JPEG")]
    tensor = triton.InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(np.array(files, object))
    result = client.infer("photograph", [tensor])
    assert result.as_numpy("digit").tolist() == [7, 7]
    assert result.as_numpy("accepted").dtype == bool
    assert np.all(result.as_numpy("confidence") > 0.5)


def test_triton_client_gets_the_error(client):
    tensor = triton.InferInput("images", [1, 28, 28], "UINT8")
    tensor.set_data_from_numpy(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(triton.InferenceServerException, match=r"it must be \[-1, 1, 28, 28\]"):
        client.infer("cnn", [tensor])
    with pytest.raises(triton.InferenceServerException, match="does not support sequences"):
        client.infer("cnn", images(True), sequence_id=5)
    broken = triton.InferInput("image", [1], "BYTES")
    broken.set_data_from_numpy(np.array([b"text"], object))
    with pytest.raises(triton.InferenceServerException, match="Image 0: "):
        client.infer("photograph", [broken])


@pytest.mark.parametrize("as_binary", [True, False], ids=["binary", "json"])
def test_kserve_client_infers(server, as_binary):
    address = server.address

    async def ask():
        async with rest.InferenceRESTClient(rest.RESTConfig(protocol="v2", timeout=30)) as client:
            assert await client.is_server_live(address) is True
            assert await client.is_server_ready(address) is True
            assert await client.is_model_ready(address, "vit") is True
            tensor = protocol.InferInput("images", list(BRIGHT.shape), "UINT8")
            tensor.set_data_from_numpy(BRIGHT, binary_data=as_binary)
            request = protocol.InferRequest("consensus", [tensor], request_id="k")
            return await client.infer(address, request, model_name="consensus")

    answer = asyncio.run(ask())
    assert (answer.id, answer.model_name) == ("k", "consensus")
    assert answer.get_output_by_name("digit").as_numpy().tolist()[::2] == [7] * 20
