"""Dependencies point one way: training -> models <- service."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY


def modules(package):
    paths = sorted((REPOSITORY / package).rglob("*.py"))
    return [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def test_the_service_does_without_torch_and_training(small_models):
    imports = f"import sys, {', '.join(modules('service'))}"
    look = f"{imports}; print([n for n in ('torch', 'torchvision', 'training', 'onnx') if n in sys.modules])"
    environment = os.environ | {"QUINTET_MODELS": str(small_models)}
    command = [sys.executable, "-c", look]
    found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_modules_stay_short():
    sources = [path for folder in ("service", "training") for path in (REPOSITORY / folder).rglob("*.py")]
    assert {path.name for path in sources if len(path.read_text().splitlines()) > 260} == set()
