"""The application with three small models, and an upload."""

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
from tests.conftest import draw, encode, write_artefact, write_consensus
from tests.serving import serving


@dataclass(frozen=True)
class Server:
    address: str
    log: Path  # what it printed


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real service with three small models and two workers, for all tests that do not change it."""
    folder = tmp_path_factory.mktemp("server")
    for name, digit in (("cnn", 7), ("vgg16", 7), ("vit", 1)):
        write_artefact(folder / f"{name}.onnx", bias=digit)
    write_consensus(folder)
    settings = {"QUINTET_MODELS": str(folder), "QUINTET_DEVICE": "cpu", "QUINTET_WORKERS": "2"}
    with (folder / "log").open("wb") as log, serving(log=log, **settings) as address:
        yield Server(address, folder / "log")


@pytest.fixture
def app(small_models: Path) -> Observer:
    return create_app(Recogniser(settings=Settings(models=small_models, device="cpu", threads=1, max_bytes=100_000)))


@pytest.fixture
def client(app: Observer) -> Iterator[TestClient]:
    yield TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def seven() -> bytes:
    return encode(Image.fromarray(draw("7")))
