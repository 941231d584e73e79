"""Bodies of requests."""

import tempfile

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.testclient import TestClient

from service.http.body import image_of


def test_no_upload_is_written_to_the_disk(monkeypatch):
    """Starlette's parser wrote files of more than 1 MB to the disk; a container may have none to write to."""
    app = FastAPI()

    @app.post("/")
    async def echo(request: Request) -> Response:
        return Response(await image_of(request, "image", 10**7))

    upload = bytes(range(256)) * 8_192
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert len(upload) > 2**20 and TestClient(app).post("/", files={"image": upload}).content == upload
