"""The version is one: of the package, of the changelog's newest release and of the HTTP API."""

import re

from starlette.testclient import TestClient

from service import __version__
from service.http.app import create_app
from service.recogniser import Recogniser
from tests.conftest import REPOSITORY


def test_newest_release_of_the_changelog_is_the_version():
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == __version__


def test_api_names_the_version(small_models):
    app = create_app(Recogniser(small_models, "cpu", threads=1))
    assert TestClient(app).get("/openapi.json").json()["info"]["version"] == __version__
