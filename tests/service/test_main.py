"""The `quintet` command: its names, its help, and its message when a package is missing."""

import ast
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service import __version__
from service.__main__ import COMMANDS, benchmarks, main, run
from tests.conftest import REPOSITORY


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and [name for name in COMMANDS if f"\n  {name} " not in said] == []


def test_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"quintet {__version__}\n"


@pytest.mark.parametrize(
    "place", [place for place, _ in COMMANDS.values()] + [f"benchmarks.{n}:main" for n in benchmarks()]
)
def test_command_is_a_function_of_a_module(place):
    module, _, function = place.replace("NAME", "offline").partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    defined = [node.name for node in ast.parse(Path(spec.origin).read_text()).body if isinstance(node, ast.FunctionDef)]
    assert function in defined


@pytest.mark.parametrize("arguments", [["--help"], ["benchmark", "--help"], ["serve", "--help"], ["nonsense"]])
def test_names_and_help_load_nothing_heavy(arguments):
    heavy = "'torch', 'onnxruntime', 'numpy', 'bentoml', 'cv2'"
    look = f"""
import sys
from service import __version__
from service.__main__ import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in ({heavy}) if name in sys.modules])"""
    found = subprocess.run([sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_unknown_benchmark_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "nonsense"])
    assert ended.value.code == 2 and "offline" in capsys.readouterr().err


def test_extra_that_is_not_installed_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("service.__main__.load", missing("torch"))
    assert run("quintet train", "training.train:main", []) == 2
    sentence = "quintet train needs torch; in the clone, install it with: pip install '.[train]'\n"
    assert capsys.readouterr().err == sentence


def test_module_of_ours_that_is_missing_is_a_fault(monkeypatch):
    monkeypatch.setattr("service.__main__.load", missing("training.nowhere"))
    with pytest.raises(ModuleNotFoundError):
        run("quintet train", "training.train:main", [])


def missing(name):
    def load(place):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return load


@pytest.mark.parametrize("number", ["0", "65536", "99999", "-1", "http"])
def test_port_that_cannot_be_is_refused(number, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", f"--port={number}"])
    assert ended.value.code == 2
    assert f"{number!r} is no port; a port is a number from 1 to 65535." in capsys.readouterr().err


def test_port_in_use_is_one_sentence(small_models):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        command = [sys.executable, "-m", "service", "serve", "--host", "127.0.0.1", "--port", str(number)]
        environment = os.environ | {"QUINTET_MODELS": str(small_models)}
        ended = subprocess.run(command, cwd=REPOSITORY, env=environment, timeout=60, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        f"Quintet does not start: cannot listen on port {number} of 127.0.0.1: "
        "something else listens there; choose another port."
    )
