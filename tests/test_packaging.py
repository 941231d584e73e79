"""The wheel holds the page, the examples and the models, its command works anywhere, and the pins agree."""

import os
import re
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which the wheel was unpacked, which is what installing a pure Python wheel does."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = folder.glob("quintet-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_wheel_holds_what_the_service_reads(installed):
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {
        "service",
        "training",
        "benchmarks",
    }
    for folder, inside in (("models", "models"), ("examples", "examples"), ("service/page", "page")):
        there = {path.relative_to(REPOSITORY / folder) for path in (REPOSITORY / folder).rglob("*") if path.is_file()}
        own = installed / "service" / inside
        assert there <= {path.relative_to(own) for path in own.rglob("*")}, folder


@pytest.mark.slow
def test_installed_command_reads_a_digit(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed), "QUINTET_DEVICE": "cpu"}
    environment.pop("QUINTET_MODELS", None)
    command = [sys.executable, "-m", "service", "predict", str(REPOSITORY / "examples" / "seven.png")]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[1].split()[1] == "7"


def pins(name):
    """{package: its version, condition and hashes} of a file of requirements."""
    text = (REPOSITORY / "requirements" / name).read_text()
    found = re.findall(r"^([\w.-]+)(?:\[.*?\])?(==.*(?:\n    --hash=.*)+)", text, re.MULTILINE)
    return {package: re.sub(r"\s+", " ", pin) for package, pin in found}


@pytest.mark.parametrize("part, needed", [("serve.txt", "bentoml"), ("cuda.txt", "nvidia-cudnn-cu13")])
def test_requirements_for_serving_are_part_of_those_for_development(part, needed):
    """So CUDA for serving is the CUDA that PyTorch trains with, and both files can be installed together."""
    everything, own = pins("dev.txt"), pins(part)
    assert needed in own
    assert {package for package, pin in own.items() if everything.get(package) != pin} == set()
