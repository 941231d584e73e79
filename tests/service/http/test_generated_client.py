"""A client that openapi-python-client generates from the description calls the application."""

import asyncio
import importlib
import subprocess
import sys
from importlib.util import find_spec
from io import BytesIO

import pytest
from starlette.testclient import TestClient


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openapi_python_client") is None, reason="openapi-python-client is not installed")
def test_a_generated_client_reads_a_digit(app, seven, tmp_path, monkeypatch):
    import httpx

    description = tmp_path / "openapi.json"
    description.write_text(TestClient(app).get("/openapi.json").text)
    options = ["--path", str(description), "--output-path", str(tmp_path / "quintet_client"), "--meta", "none"]
    command = [sys.executable, "-m", "openapi_python_client", "generate", *options]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    monkeypatch.syspath_prepend(tmp_path)
    functions = {
        name: importlib.import_module(f"quintet_client.api.{tag}.{name}")
        for tag, name in (("digits", "predict"), ("digits", "predict_batch"), ("digits", "read"), ("models", "models"))
    }
    kinds = importlib.import_module("quintet_client.models")
    File = importlib.import_module("quintet_client.types").File
    client = importlib.import_module("quintet_client").Client(base_url="http://quintet")
    client.set_async_httpx_client(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://quintet"))

    async def ask():
        body = kinds.PredictFilesBody(image=File(payload=BytesIO(seven), file_name="seven.png"))
        answer = await functions["predict"].asyncio(client=client, body=body)
        broken = kinds.PredictFilesBody(image=File(payload=BytesIO(b"text"), file_name="seven.png"))
        refusal = await functions["predict"].asyncio(client=client, body=broken)
        return answer, refusal, await functions["models"].asyncio(client=client)

    answer, refusal, models = asyncio.run(ask())
    assert (answer.digit, answer.accepted, [model.digit for model in answer.models]) == (7, True, [7, 7, 1])
    assert isinstance(refusal, kinds.Error) and refusal.error.endswith(".")
    assert [model.name for model in models] == ["cnn", "faster_rcnn", "vit"]
