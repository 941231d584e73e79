"""What is answered without the API key, and with it."""

import pytest

from service.settings import Settings
from tests.service.http.gated import client

KEY = "a key of ours"
NO_KEY = "The API key is missing or wrong; send it as a header: 'Authorization: Bearer KEY'."


@pytest.mark.parametrize(
    "authorization", [None, "", KEY, "Bearer", "Bearer ", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer é"]
)
@pytest.mark.parametrize(
    "method, path", [("POST", "/predict"), ("POST", "/classify"), ("GET", "/models"), ("GET", "/metrics")]
)
def test_requests_without_the_key_are_refused(method, path, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    found = client(api_key=KEY).request(method, path, headers=headers)
    assert (found.status_code, found.json()) == (401, {"error": NO_KEY})
    assert found.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_requests_with_the_key_are_answered(scheme):
    for method, path in (("POST", "/predict"), ("POST", "/classify"), ("GET", "/models"), ("GET", "/metrics")):
        found = client(api_key=KEY).request(method, path, headers={"Authorization": f"{scheme} {KEY}"})
        assert (found.status_code, found.text) == (200, "fine")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/healthz", "/docs", "/openapi.json", "/page/page.js"])
def test_health_and_the_page_need_no_key(path):
    assert client(api_key=KEY).get(path).text == "fine"


def test_key_is_not_in_the_representation_of_settings():
    assert KEY not in repr(Settings(api_key=KEY))
