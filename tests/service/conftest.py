"""The application with three small models, and an upload."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from service.http.app import create_app
from service.inference.predictor import Predictor
from service.settings import Settings
from tests.conftest import draw
from tests.service.picture.test_decode import encode


@pytest.fixture
def app(small_models: Path) -> FastAPI:
    return create_app(Predictor(small_models, "cpu", threads=1), Settings(models=small_models, max_bytes=100_000))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    yield TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def seven() -> bytes:
    return encode(Image.fromarray(draw("7")))
