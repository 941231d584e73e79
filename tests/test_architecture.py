"""Dependencies point one way: training -> models <- service."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

MODULES = [f"service.{path.stem}" for path in sorted((REPOSITORY / "service").glob("*.py")) if path.stem != "__init__"]


@pytest.mark.parametrize("module", MODULES)
def test_the_service_does_without_torch_and_training(module, small_models):
    look = f"import sys, {module}; print([n for n in ('torch', 'torchvision', 'training', 'onnx') if n in sys.modules])"
    environment = os.environ | {"QUINTET_MODELS": str(small_models)}
    command = [sys.executable, "-c", look]
    found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_modules_stay_short():
    sources = [path for folder in ("service", "training") for path in (REPOSITORY / folder).rglob("*.py")]
    assert {path.name for path in sources if len(path.read_text().splitlines()) > 260} == set()
