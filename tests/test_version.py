"""The version is one: of the package, of the changelog's newest release and of the HTTP API."""

import re
import tomllib

from starlette.testclient import TestClient

from service import __version__
from service.http.app import create_app
from service.recogniser import Recogniser
from tests.conftest import REPOSITORY

RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def releases():
    return RELEASE.findall((REPOSITORY / "CHANGELOG.md").read_text())


def test_newest_release_of_the_changelog_is_the_version():
    assert releases()[0][0] == __version__


def test_releases_of_the_changelog_go_back_in_time():
    versions = [tuple(map(int, version.split("."))) for version, _ in releases()]
    dates = [date for _, date in releases()]
    assert versions == sorted(versions, reverse=True) and dates == sorted(dates, reverse=True)


def test_changelog_has_a_place_for_what_comes():
    assert "## [Unreleased]" in (REPOSITORY / "CHANGELOG.md").read_text()


def test_package_takes_its_version_from_the_service():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "service/__init__.py"


def test_api_names_the_version(small_models):
    app = create_app(Recogniser(small_models, "cpu", threads=1))
    assert TestClient(app).get("/openapi.json").json()["info"]["version"] == __version__


def test_pythons_of_the_workflow_are_those_of_the_package():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    named = re.findall(r":: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    workflow = (REPOSITORY / ".github" / "workflows" / "test.yml").read_text()
    (matrix,) = re.findall(r"^ +python: \[(.+)\]$", workflow, re.MULTILINE)
    assert re.findall(r"3\.\d+", matrix) == named
    assert project["requires-python"] == f">={named[0]}"
