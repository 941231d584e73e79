"""The README's figures, tables and commands are those of the tree."""

import re
import subprocess
import sys

import pytest

from service.inference.artefact import open_artefact
from service.inference.consensus import load_consensus
from service.settings import PREFIX, Settings
from tests.conftest import REPOSITORY
from tests.service.test_server import serving
from training import networks
from training.data import mnist
from training.results.records import Recorded
from training.results.tables import comparison, elsewhere

README = (REPOSITORY / "README.md").read_text()


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for kind, text in fenced if kind == language]


def rows(title):
    """The cells of the table whose first header cell is `title`."""
    table = re.search(rf"\| {title} \|.*\n\|[- |:]+\n((?:\|.*\n)+)", README).group(1)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


@pytest.mark.parametrize("name", networks.NAMES)
def test_results_are_those_in_the_artefact(released, name):
    path = released / f"{name}.onnx"
    says = open_artefact(path, "cpu", threads=1).metadata
    (row,) = [row for row in rows("model") if row[0] == f"`{name}`"]
    assert row[1:5] + row[6:8] == [
        f"{says['parameters'] / 1e6:.2f} M",
        f"{says['test_accuracy']:.2%}",
        f"{says['test_macro_f1']:.4f}",
        f"{says['test_loss']:.4f}",
        f"{says['training_seconds'] / 60:.0f} min",
        f"{path.stat().st_size / 2**20:.1f} MiB",
    ]


def test_consensus_row_is_that_of_consensus_json(released):
    figures = load_consensus(released).figures
    (row,) = [row for row in rows("model") if row[0] == "consensus"]
    assert row[2:6] == [
        f"{figures['test_accuracy']:.2%}",
        f"{figures['test_macro_f1']:.4f}",
        f"{figures['test_loss']:.4f}",
        f"{figures['test_ece']:.4f}",
    ]


def test_results_are_those_recorded(released):
    recorded = Recorded(released, REPOSITORY / "results")
    assert f"<!-- results -->\n{comparison(recorded)}<!-- /results -->" in README
    assert f"<!-- elsewhere -->\n{elsewhere(recorded)}<!-- /elsewhere -->" in README


def test_trivial_baseline_is_the_share_of_ones(mnist_root):
    _, labels = mnist.load("test", mnist_root)
    (row,) = [row for row in rows("model") if row[0].startswith("always")]
    assert row[2] == f"{(labels == 1).float().mean().item():.2%}"


def spoken(default):
    if default in (None, ()):
        return "none"
    return ",".join(default) if isinstance(default, tuple) else str(default)


def test_settings_table_is_complete():
    found = {row[0].strip("`"): row[1].strip("`") for row in rows("variable")}
    fields = Settings.model_fields
    assert list(found) == [PREFIX + name.upper() for name in fields]
    for name in fields.keys() - {"models", "threads"}:
        assert found[PREFIX + name.upper()] == spoken(fields[name].default)


def test_tree_names_every_folder():
    (tree,) = (block for block in blocks("") if block.startswith("service/"))
    for package in ("service", "training"):
        folders = {path.parent.name for path in (REPOSITORY / package).glob("*/*.py")}
        assert all(f"  {folder}/ " in tree for folder in folders), package


def commands(program):
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith(program)]


@pytest.mark.slow
def test_examples_work_as_written(released, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with serving(QUINTET_DEVICE="cpu") as address:
        for command in commands("curl"):
            command = command.replace("http://localhost:3000", address)
            answer = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
            assert answer.stdout.lstrip("[").startswith(('{"digit":7,"confidence":', '{"text":"7","digits":')), command
        names = {}
        for example in blocks("python"):
            exec(example.replace("http://localhost:3000", address), names)
    assert names["prediction"]["digit"] == 7
    assert names["errors"] == ["The upload is not a PNG, JPEG, WebP, BMP, GIF or TIFF image."]
    assert list(names["probabilities"]) == networks.NAMES


def test_command_without_a_server_works_as_written(released):
    (command,) = commands(".venv/bin/python -m service.cli")
    command = command.replace(".venv/bin/python", sys.executable)
    answer = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    _, row = answer.stdout.splitlines()
    assert row.split()[:2] == ["examples/seven.png", "7"]
