"""What an application in front of ours sees of a request, once ours has started."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from service.http.known_paths import UNKNOWN, Front, Straight


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
def app(tmp_path, lines):
    (tmp_path / "page.js").write_text("")
    inner = Starlette(routes=[Route("/predict", fine), Mount("/page", StaticFiles(directory=str(tmp_path)))])
    middleware = [Middleware(Log, lines=lines), Middleware(Front)]
    return Starlette(routes=[Route("/livez", fine), Mount("/", inner)], middleware=middleware)


@pytest.mark.parametrize("path", ["/livez", "/predict", "/page/page.js"])
def test_path_that_is_served_is_kept(app, lines, path):
    with TestClient(app) as client:
        assert client.get(path).status_code == 200
    assert lines == [(path, "testclient")]


@pytest.mark.parametrize(
    "path", ["/x", "/predict/x", "/page/no.js", "/page/../front.py", "/a%0aline", "/" + 9999 * "x"]
)
def test_any_other_path_is_one(app, lines, path):
    with TestClient(app) as client:
        assert client.get(path).status_code == 404
    assert lines == [(UNKNOWN, "testclient")]


def test_path_of_a_websocket_is_bounded_too(app, lines):
    with TestClient(app) as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/hostile"):
        pass
    assert lines == [(UNKNOWN, "testclient")]


def test_client_is_no_longer_than_an_address_and_has_no_line_breaks(app, lines):
    with TestClient(app, client=("a\n\x1b[31m" + 99 * "x", 1)) as client:
        client.get("/livez")
    ((_, host),) = lines
    assert host.startswith(r"a\n\x1b[31mxx") and host.isprintable() and len(host) < 60


def test_what_is_named_is_left_out(lines):
    class Slow(Log):
        pass

    inside = [Middleware(Slow, lines=lines), Middleware(Log, lines=lines), Middleware(Slow, lines=lines)]
    app = Starlette(routes=[Route("/livez", fine)], middleware=[*inside, Middleware(Front, without=("Slow",))])
    with TestClient(app) as client:
        assert client.get("/livez").status_code == 200
    assert len(lines) == 1


def test_application_is_reached_past_what_stands_before_its_mount(lines):
    inner = Starlette(routes=[Route("/predict", fine)])
    middleware = [Middleware(Straight, target=inner), Middleware(Log, lines=lines)]
    app = Starlette(routes=[Route("/livez", fine), Mount("/", inner)], middleware=middleware)
    with TestClient(app) as client:
        assert [client.get(path).status_code for path in ("/predict", "/livez", "/x")] == [200, 200, 404]
    assert [path for path, _ in lines] == ["/livez", "/x"]


def test_all_that_is_to_be_left_out_is_there_in_this_bentoml():
    from service.bento import LEFT_OUT, Quintet

    names = [middleware.cls.__name__ for middleware in Quintet.to_asgi().user_middleware]
    assert set(LEFT_OUT) <= set(names[: names.index("Front")])
