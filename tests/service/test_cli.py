"""The `quintet` command: its names and help, what it prints, where, and its exit status."""

import json
import os
import socket
import subprocess
import sys

import pytest
from PIL import Image

from service.cli import WORKSHOP, main
from service.settings import Settings
from tests.conftest import ANSWER, REPOSITORY, TEXT, draw, encode


def quintet(*arguments, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "service", *arguments]
    given = {"cwd": REPOSITORY, "capture_output": True, "text": True, "timeout": 120} | options
    return subprocess.run(command, **given)


@pytest.fixture
def folder(small_models, tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("QUINTET_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seven.png").write_bytes(encode(Image.fromarray(draw("7"))))
    (tmp_path / "text.png").write_text("I am text")
    (tmp_path / "blank.png").write_bytes(encode(Image.new("L", (99, 99), 255)))
    return tmp_path


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    names = ["serve", "predict", "read", "batch", "settings", *WORKSHOP]
    found = [line.split()[0] for line in said.splitlines() if line.startswith("    ") and line.strip()]
    assert ended.value.code == 0 and [name for name in names if name not in found] == []


def test_names_and_help_load_nothing_heavy():
    look = """
import contextlib, sys
from service import __version__
from service.cli import main
for command in ("", "serve", "predict", "read", "batch", "settings", "benchmark", "nonsense"):
    with contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
heavy = "torch", "onnxruntime", "numpy", "bentoml", "cv2", "pydantic", "pyarrow"
print([name for name in heavy if name in sys.modules])"""
    found = subprocess.run([sys.executable, "-c", look], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_table_has_a_row_for_each_image(folder, capsys):
    assert main(["predict", "seven.png", "seven.png"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "digit", "confidence", "accepted", "cnn", "faster_rcnn", "vit", "reason"]
    assert len(rows) == 2
    cells = rows[0].split()
    assert cells[:2] == ["seven.png", "7"] and 0 < float(cells[2]) <= 1
    assert cells[3:] == ["yes", "7", "7", "1"]


def test_refused_image_has_its_reason(folder, released, capsys, monkeypatch):
    monkeypatch.setenv("QUINTET_MODELS", str(released))
    (folder / "two.png").write_bytes(encode(Image.fromarray(draw("4 2", (200, 400)))))
    assert main(["predict", "two.png"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "several_digits"


def test_json_is_what_the_route_answers(folder, capsys):
    assert main(["predict", "--json", "--models", "vit", "seven.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["image", *ANSWER]
    assert (result["image"], result["digit"]) == ("seven.png", 1)
    assert [model["name"] for model in result["models"]] == ["vit"]


def test_image_that_cannot_be_read_is_one_sentence_and_hurts_no_other(folder, capsys):
    os.mkfifo(folder / "pipe.png")
    assert main(["predict", "--json", "text.png", "nowhere.png", "blank.png", ".", "pipe.png", "seven.png"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "text.png: This is text; send a picture, as PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF.",
        "nowhere.png: No such file or directory.",
        "blank.png: The image is blank: no ink stands out from the background.",
        ".: Is a directory.",
        "pipe.png: It is a pipe, a socket or a device, not a file.",
    ]
    assert [json.loads(line)["digit"] for line in said.out.splitlines()] == [7]


def test_fault_with_one_image_is_one_sentence(folder, capsys, monkeypatch):
    """Bug: offsets of 2^63 in a TIFF ended the command with a traceback."""

    def fail(*_):
        raise OverflowError("Python int too large to convert to C long")

    monkeypatch.setattr("service.recogniser.grey_from_upload", fail)
    assert main(["read", "seven.png"]) == 1
    assert capsys.readouterr().err == "seven.png: Python int too large to convert to C long\n"


def test_name_of_any_bytes_is_printed_safely(folder, capsysbinary):
    name = os.fsdecode(b"-\xff\n\x1b[31m.png")
    (folder / name).write_bytes((folder / "seven.png").read_bytes())
    assert main(["predict", "--", name]) == 0
    assert capsysbinary.readouterr().out.splitlines()[1].split()[:2] == [b"-%FF%0A%1B[31m.png", b"7"]


@pytest.mark.parametrize("command", ["predict", "settings"])
def test_reader_that_closes_the_pipe_ends_it_quietly(folder, command):
    read, write = os.pipe()
    os.close(read)
    arguments = [] if command == "settings" else [str(folder / "seven.png")] * 2
    ended = quintet(command, *arguments, stdout=write, stderr=subprocess.PIPE, capture_output=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_wrong_set_up_is_one_sentence(folder, own_models, capsys, monkeypatch):
    def said(models, *arguments):
        monkeypatch.setenv("QUINTET_MODELS", str(models))
        assert main(list(arguments)) == 2
        return capsys.readouterr().err

    assert said(own_models, "predict", "--models", "resnet", "seven.png") == (
        "Unknown model 'resnet'; served models: cnn, faster_rcnn, vit.\n"
    )
    (own_models / "vit.onnx").unlink()
    missing = "vit.onnx is missing; copy it from the release again, or create it with: "
    assert missing in said(own_models, "predict", "seven.png")
    sentence = "There is no folder nowhere; set QUINTET_MODELS to the folder that holds the models.\n"
    assert said("nowhere", "read", "seven.png") == sentence


def test_read_prints_a_row_for_each_line_or_the_json_of_the_route(folder, capsys):
    assert main(["read", "seven.png"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "line", "confidence", "refused", "text", "transcript"]
    assert row.split()[:2] == ["seven.png", "1"] and row.split()[3:] == ["0", "7", "7"]
    assert main(["read", "--json", "seven.png"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["image", *TEXT] and result["text"] == "7"


def test_settings_are_printed_with_their_defaults(capsys):
    assert main(["settings"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["variable", "default", "meaning"]
    assert [row.split()[0] for row in rows] == [f"QUINTET_{name.upper()}" for name in Settings.model_fields]
    assert [row.split()[1] for row in rows if row.startswith("QUINTET_DEVICE ")] == ["auto"]


def test_unknown_benchmark_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "nonsense"])
    assert ended.value.code == 2 and "offline" in capsys.readouterr().err


def test_package_that_is_not_installed_is_one_sentence(capsys, monkeypatch):
    monkeypatch.setattr("importlib.import_module", missing("torch"))
    assert main(["train", "cnn"]) == 2
    sentence = "quintet train needs torch; install it with: pip install '.[train]'\n"
    assert capsys.readouterr().err == sentence


def test_module_of_ours_that_is_missing_is_a_fault(monkeypatch):
    monkeypatch.setattr("importlib.import_module", missing("training.nowhere"))
    with pytest.raises(ModuleNotFoundError):
        main(["train", "cnn"])


def missing(name):
    def load(place):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    return load


@pytest.mark.parametrize("number", ["0", "65536", "http"])
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
        environment = os.environ | {"QUINTET_MODELS": str(small_models)}
        ended = quintet("serve", "--host", "127.0.0.1", "--port", str(number), env=environment)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        f"Quintet does not start: cannot listen on port {number} of 127.0.0.1: "
        "something else listens there; choose another port."
    )
