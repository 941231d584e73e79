"""The pages and the OpenAPI description, whose examples must be real answers."""

import re
from urllib.parse import urljoin

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from service import __version__
from service.http import openapi
from service.http.app import create_app
from service.recogniser import Recogniser
from service.settings import Settings
from tests.conftest import VOTERS, encode, form, raw
from tests.service.http.test_key import HEALTH, PAGES


@pytest.mark.parametrize("page", ["", "docs", "results"])
def test_pages_load_nothing_from_elsewhere_and_work_behind_a_path(app, page):
    """A proxy may put the service anywhere, so no address begins with a slash."""
    client = TestClient(Starlette(routes=[Mount("/behind", app)]))
    answer = client.get(f"/behind/{page}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'self'; img-src 'self' data: blob:;")
    loaded = re.findall(r'(?:src|href)="(?!#|https:)([^"]+)"', answer.text)
    assert len(loaded) > 3
    assert [link for link in loaded if client.get(urljoin(f"/behind/{page}", link)).status_code != 200] == []
    (server,) = client.get("/behind/openapi.json").json()["servers"]
    assert urljoin("http://testserver/behind/openapi.json", server["url"]) == "http://testserver/behind/"


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/examples/seven.png"])
def test_files_of_the_page_are_asked_for_again_but_not_sent_again(client, path):
    first = client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    assert path == "/" or client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert client.head(path).status_code == 200  # what monitors ask


def test_other_sites_may_show_the_page_in_a_frame_if_they_are_named(small_models):
    named = Settings(models=small_models, device="cpu", frame_ancestors=("https://a.example", "https://b.example"))
    policy = TestClient(create_app(Recogniser(settings=named))).get("/").headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://a.example https://b.example")


def test_description_names_every_route_and_both_kinds_of_upload(client):
    paths = client.get("/openapi.json").json()["paths"]
    hidden = {*PAGES, "/qr.svg", "/health", "/healthz", "/v2/models/{model}/{rest:path}"}
    served = {route.path for route in client.app.app.routes if isinstance(route, Route)}
    assert set(paths) == {path for path in served - hidden if "/versions/" not in path}
    operation = paths["/predict"]["post"]
    kinds = {"multipart/form-data", "image/*", "application/octet-stream", "application/json"}
    assert set(operation["requestBody"]["content"]) == kinds
    assert {"200", "400", "404", "413", "415", "422", "503"} <= set(operation["responses"])


def test_description_has_the_version_and_lets_a_key_be_sent_and_left_out(client):
    description = client.get("/openapi.json").json()
    assert description["info"]["version"] == __version__
    assert description["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for path, operations in description["paths"].items():
        for operation in operations.values():
            is_open = path in HEALTH
            assert ("401" in operation["responses"]) == ("security" in operation) == (not is_open)
            assert is_open or operation["security"] == [{"HTTPBearer": []}, {}]
            for status, answer in operation["responses"].items():
                content = answer["content"].get("application/json", {})
                assert status in ("200", "503") or list(content["example"]) == ["error"], (path, status)


def test_example_of_a_prediction_has_the_form_of_one(client, seven):
    answer = client.post("/predict?models=faster_rcnn", files={"image": seven}).json()
    assert shape(openapi.PREDICTION) == shape(answer)


def test_example_of_an_unknown_model_is_what_is_said(client):
    answer, example = client.post("/predict?models=resnet"), openapi.ERRORS[404][1]
    assert (answer.status_code, answer.json()["error"].split(":")[0]) == (404, example.split(":")[0])
    assert set(example.removesuffix(".").partition("served models: ")[2].split(", ")) <= set(VOTERS)


def shape(value):
    """Its names and the lengths of its lists."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else None


@pytest.mark.parametrize(
    "status, request_",
    [
        (400, raw(encode(Image.new("L", (9, 9), 255)))),
        (413, raw(encode(Image.new("1", (20_000, 20_000))))),
        (415, raw(b"x", "")),
        (422, form(file=b"x")),
    ],
)
def test_example_of_an_error_is_what_is_said(client, status, request_):
    answer = client.post("/predict", **request_)
    assert (answer.status_code, answer.json()) == (status, {"error": openapi.ERRORS[status][1]})
