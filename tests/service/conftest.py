"""The application with three small models, and an upload."""

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service.http import app as application
from service.inference.predictor import Predictor
from service.settings import Settings
from tests.conftest import draw
from tests.service.picture.test_decode import encode


@pytest.fixture
def client(small_models):
    application.serve(Predictor(small_models, "cpu", threads=1), Settings(models=small_models, max_bytes=100_000))
    yield TestClient(application.app, raise_server_exceptions=False)
    application.app.state.batcher = None


@pytest.fixture(scope="module")
def seven():
    return encode(Image.fromarray(draw("7")))
