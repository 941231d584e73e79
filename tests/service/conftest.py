"""A server, and the application without one, with three small models, and an upload."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.http.app import create_app
from service.http.observability import Observer
from service.recogniser import Recogniser
from service.settings import Settings
from tests.conftest import draw, encode
from tests.serving import serving


@dataclass(frozen=True)
class Server:
    address: str
    log: Path  # what it printed


@pytest.fixture(scope="session")
def server(small_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real service with two workers, for all tests that do not change it."""
    path = tmp_path_factory.mktemp("server") / "log"
    settings = {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu", "QUINTET_WORKERS": "2"}
    with path.open("wb") as log, serving(log=log, **settings) as address:
        yield Server(address, path)


@pytest.fixture(scope="session")
def recogniser(small_models: Path) -> Recogniser:
    return Recogniser(settings=Settings(models=small_models, device="cpu", threads=1, max_bytes=100_000))


@pytest.fixture
def app(recogniser: Recogniser) -> Observer:
    return create_app(recogniser)


@pytest.fixture
def client(app: Observer) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def seven() -> bytes:
    return encode(Image.fromarray(draw("7")))
