"""Bodies of requests."""

import tempfile

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from service.http.body import image_of


def test_no_upload_is_written_to_the_disk(monkeypatch):
    """Starlette's parser wrote files of more than 1 MB to the disk; a container may have none to write to."""

    async def echo(request: Request) -> Response:
        return Response(await image_of(request, "image", 10**7))

    app = Starlette(routes=[Route("/", echo, methods=["POST"])])

    upload = bytes(range(256)) * 8_192
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert len(upload) > 2**20 and TestClient(app).post("/", files={"image": upload}).content == upload
