"""The path of a request as a middleware in front of our application sees it."""

import pytest
from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from service.http.known_paths import UNKNOWN, KnownPaths


class Log:
    """Notes the path and the client of each request, as BentoML's middleware in front of ours does."""

    def __init__(self, app, lines):
        self.app, self.lines = app, lines

    async def __call__(self, scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            self.lines.append((scope["path"], scope["client"][0]))
        await self.app(scope, receive, send)


async def fine(_request):
    return PlainTextResponse("fine")


@pytest.fixture
def lines():
    return []


@pytest.fixture
def whole(app, lines):
    """Our application behind others, as BentoML mounts it; one more route names a model in its path."""
    router = APIRouter()
    router.add_api_route("/models/{name}/ready", lambda name: name)
    app.include_router(router)
    middleware = [Middleware(Log, lines=lines), Middleware(KnownPaths, mounted=lambda: app)]
    return Starlette(routes=[Route("/livez", fine), Mount("/", app)], middleware=middleware)


@pytest.mark.parametrize(
    "path", ["/livez", "/models", "/", "/docs", "/openapi.json", "/page/page.js", "/models/vit/ready"]
)
def test_served_path_is_kept(whole, lines, path):
    with TestClient(whole) as client:
        assert client.get(path).status_code == 200
    assert lines == [(path, "testclient")]


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/predict/x",
        "/page/no.js",
        "/page/../pages.py",
        "/a%0aline",
        "/" + 9999 * "x",
        "/models/resnet/ready",
        "/v2/models/cnn/x",
    ],
)
def test_all_other_paths_become_one(whole, lines, path):
    with TestClient(whole) as client:
        assert client.get(path).status_code == 404
    assert lines == [(UNKNOWN, "testclient")]


@pytest.mark.parametrize("path", ["/v2/models/resnet", "/v2/models/a%0aline/infer", "/v2/models/cnnx/versions/1"])
def test_unknown_models_of_v2_share_one_path_and_get_the_known_names(whole, lines, path):
    with TestClient(whole) as client:
        answer = client.get(path)
    assert answer.status_code == 404 and answer.json()["error"].startswith("Unknown model; the models are: cnn, ")
    assert lines == [("/v2/models/{model}", "testclient")]


def test_path_of_a_websocket_is_bounded_too(whole, lines):
    with TestClient(whole) as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/hostile"):
        pass
    assert lines == [(UNKNOWN, "testclient")]


def test_client_is_no_longer_than_an_address_and_has_no_line_breaks(whole, lines):
    with TestClient(whole, client=("a\n\x1b[31m" + 99 * "x", 1)) as client:
        client.get("/livez")
    ((_, host),) = lines
    assert host.startswith(r"a\n\x1b[31mxx") and host.isprintable() and len(host) < 60
