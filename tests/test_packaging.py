"""The wheel installs one name and works beside any other package; the pins agree, and there are wheels everywhere."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from service import __version__
from tests.conftest import REPOSITORY
from tests.serving import END, QUICK, free_port, wait_until_ready

UV = Path(sys.executable).with_name("uv")
PLATFORMS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"]


def uv(*arguments, **options):
    """Run uv; a test that needs the package index is skipped where there is none."""
    ended = subprocess.run([UV, *map(str, arguments)], capture_output=True, text=True, **options)
    if re.search(r"dns error|error sending request|client error \(Connect\)|timed out", ended.stderr):
        pytest.skip("the package index cannot be reached, and the packages are not in uv's cache")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (path,) = folder.glob("quintet-*.whl")
    return path


@pytest.mark.slow
def test_wheel_holds_one_package_and_what_the_service_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"quintet"}
    for folder, inside in (("models", "models"), ("examples", "examples"), ("service/page", "page")):
        there = (path for path in (REPOSITORY / folder).rglob("*") if path.is_file() and "__pycache__" not in str(path))
        assert {f"quintet/{inside}/{path.relative_to(REPOSITORY / folder)}" for path in there} <= names


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel, what it needs on a CPU, and somebody else's package called `service`."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    uv("venv", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    uv("pip", "install", "--python", python, "--require-hashes", "-r", REPOSITORY / "requirements" / "cpu.txt")
    uv("pip", "install", "--python", python, "--no-deps", wheel)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "service").mkdir()
    (site / "service" / "__init__.py").write_text("raise ImportError('this is not the service of Quintet')\n")
    return folder


@pytest.fixture
def run(installed, tmp_path):
    """Runs a program of that environment in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QUINTET_", "PYTHON"))}

    def run(program, *arguments, check=True):
        command = [installed / "bin" / program, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=check)

    return run


@pytest.mark.slow
def test_installed_object_and_commands_read_digits(run):
    seven, number = REPOSITORY / "examples" / "seven.png", REPOSITORY / "examples" / "number.jpg"
    code = f"from quintet import Recogniser; print(Recogniser().predict({str(seven)!r}).digit)"
    assert run("python", "-c", code).stdout == "7\n"
    assert json.loads(run("quintet", "predict", "--json", seven).stdout)["digit"] == 7
    assert "1969" in run("quintet", "read", number).stdout
    said = run("quintet", "batch", seven, "--out", "rows", "--engine", "plain").stderr
    assert said.endswith("1 rows in rows, 0 of them with an error\n")


@pytest.mark.slow
def test_installed_service_answers(installed, tmp_path):
    port = free_port()
    command = [installed / "bin" / "quintet", "serve", "--port", str(port), "--host", "127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("QUINTET_", "PYTHON"))}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment | QUICK, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(process, address)
        seven = (REPOSITORY / "examples" / "seven.png").read_bytes()
        assert httpx2.post(f"{address}/predict", files={"image": seven}, timeout=60).json()["digit"] == 7
        assert httpx2.get(f"{address}/page/examples/seven.png").content == seven
        process.send_signal(signal.SIGTERM)
        assert process.wait(END) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_commands_of_a_checkout_say_so_in_an_installed_package(run, command):
    ended = run("quintet", command, "cnn", check=False)
    sentence = f"quintet {command} is not part of the installed package; run it in a checkout of the project.\n"
    assert (ended.returncode, ended.stderr) == (2, sentence)


def test_quintet_is_a_name_of_the_service_in_a_checkout():
    look = "import sys, quintet; print(quintet.__version__, 'numpy' in sys.modules, quintet.Recogniser.__name__)"
    command = [sys.executable, "-c", look]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert said.split()[1:] == ["False", "Recogniser"]


def test_newest_release_of_the_changelog_is_the_version():
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == __version__


def pins(name):
    """{package: its version and hashes} of a file of requirements, whatever the platform."""
    text = (REPOSITORY / "requirements" / name).read_text()
    found = re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+).*((?:\n    --hash=.*)+)", text, re.MULTILINE)
    return {package: (version, re.findall(r"--hash=(\S+)", hashes)) for package, version, hashes in found}


@pytest.mark.parametrize("part, needed", [("serve.txt", "bentoml"), ("cuda.txt", "nvidia-cudnn-cu13")])
def test_requirements_for_serving_are_part_of_those_for_development(part, needed):
    """So CUDA for serving is the CUDA that PyTorch trains with, and both files can be installed together."""
    everything, own = pins("dev.txt"), pins(part)
    assert needed in own
    assert {package for package, pin in own.items() if everything.get(package) != pin} == set()


def test_requirements_for_a_cpu_are_those_for_serving_without_gpus():
    cpu, serve = pins("cpu.txt"), pins("serve.txt")
    gpu = serve.pop("onnxruntime-gpu")
    assert cpu == serve
    assert cpu["onnxruntime"][0] == gpu[0]  # the same version computes the same


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_has_wheels(platform, tmp_path):
    """Of the pinned versions, so that nothing is compiled."""
    where = ["--python-platform", platform, "--python-version", "3.11", "--target", tmp_path, "--dry-run"]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # the oldest one with wheels of onnxruntime
    serve = REPOSITORY / "requirements" / "serve.txt"
    uv("pip", "install", *where, "--only-binary", ":all:", "-r", serve, env=environment)


def test_reading_needs_nothing_that_only_unix_has(tmp_path, small_models):
    """Every Python that starts, that of the batch's reading process too, lacks what Windows and macOS lack."""
    lacks = "import os, signal, sys\nsys.modules |= dict.fromkeys(('resource', 'grp', 'pwd', 'termios'))\n"
    (tmp_path / "sitecustomize.py").write_text(lacks + "del os.sched_getaffinity, signal.alarm, signal.SIGALRM\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "QUINTET_MODELS": str(small_models)}
    seven = REPOSITORY / "examples" / "seven.png"
    for arguments in (["predict", seven], ["read", seven], ["batch", seven, "--out", tmp_path / "out"]):
        command = [sys.executable, "-m", "service", *map(str, arguments)]
        ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
