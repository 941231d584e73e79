"""What is answered without the API key, and with it."""

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from service.http.app import create_app
from service.recogniser import Recogniser
from service.settings import Settings

KEY = "a key of ours"
MISSING = "The API key is missing; send it as a header: 'Authorization: Bearer KEY'."
WRONG = "The API key is wrong; send the right one as a header: 'Authorization: Bearer KEY'."
HEALTH = ["/livez", "/healthz", "/readyz", "/health", "/v2/health/live", "/v2/health/ready"]
PAGES = ["/", "/docs", "/results", "/openapi.json"]


@pytest.fixture(scope="module")
def locked(small_models):
    return TestClient(create_app(Recogniser(settings=Settings(models=small_models, device="cpu", api_key=KEY))))


@pytest.mark.parametrize(
    "authorization, sentence",
    [
        (None, MISSING),
        ("", MISSING),
        (KEY, MISSING),
        ("Bearer", MISSING),
        ("Bearer ", MISSING),
        (f"Basic {KEY}", MISSING),
        (f"Bearer {KEY}x", WRONG),
        ("Bearer é", WRONG),
    ],
)
def test_requests_without_the_key_are_refused(locked, authorization, sentence):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for method, path in (("POST", "/predict"), ("GET", "/models"), ("GET", "/metrics")):
        found = locked.request(method, path, headers=headers)
        assert (found.status_code, found.json()) == (401, {"error": sentence})
        assert found.headers["www-authenticate"] == "Bearer"


def test_every_route_but_health_and_pages_needs_the_key(locked):
    routes = [route for route in locked.app.app.routes if isinstance(route, Route)]
    for route in routes:
        path = route.path.replace("{model}", "cnn").replace("{rest:path}", "x")
        for method in route.methods:
            status = locked.request(method, path).status_code
            assert (status == 401) == (route.path not in [*HEALTH, *PAGES, "/qr.svg"]), (method, path, status)
    assert locked.get("/page/page.js").status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_requests_with_the_key_are_answered(locked, scheme):
    headers = {"Authorization": f"{scheme} {KEY}"}
    assert [locked.get(path, headers=headers).status_code for path in ("/models", "/metrics", "/v2")] == [200] * 3
    assert locked.post("/predict", headers=headers).status_code == 400  # its body is empty


def test_key_is_not_in_the_representation_of_settings():
    assert KEY not in repr(Settings(api_key=KEY))


def test_pages_of_named_origins_may_ask_and_read_refusals(small_models):
    origin = {"Origin": "https://a.example"}
    named = Settings(models=small_models, device="cpu", api_key=KEY, cors_origins=(origin["Origin"],))
    client = TestClient(create_app(Recogniser(settings=named)))
    for path in ("/predict", "/predict/batch", "/v2/models/cnn/infer"):
        refused = client.post(path, headers=origin)
        assert (refused.status_code, list(refused.json())) == (401, ["error"])
        assert refused.headers["access-control-allow-origin"] == origin["Origin"]
        assert "X-Request-ID" in refused.headers["access-control-expose-headers"]
        asked = client.options(path, headers=origin | {"Access-Control-Request-Method": "POST"})
        assert (asked.status_code, asked.text) == (200, "OK")
