"""The figures, tables, links and commands of the README and of docs/ are those of the tree."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import WORKSHOP
from service.http.openapi import MEANING
from service.inference.artefact import open_artefact
from service.inference.consensus import load_consensus
from service.settings import PREFIX, Settings
from tests.conftest import REPOSITORY, VOTERS
from tests.serving import serving
from training.data import mnist
from training.report.page import PARTS
from training.report.records import Recorded

README = REPOSITORY / "README.md"
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [*sorted(REPOSITORY.glob("*.md")), *DOCS]
MOST_WORDS = 1_000  # of the README


def blocks(page: Path, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in fenced if kind == language]


def rows(page: Path, title: str) -> list[list[str]]:
    """The cells of the table whose first header cell is `title`."""
    table = re.search(rf"\| {title} \|.*\n\|[- |:]+\n((?:\|.*\n)+)", page.read_text())
    assert table, f"{page.name} has no table of {title}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def row(page: Path, name: str) -> list[str]:
    (found,) = [cells for cells in rows(page, "model") if cells[0] == name]
    return found


def test_readme_stays_one_page():
    assert len(README.read_text().split()) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """The addresses that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_leads_to_every_page_of_docs():
    readme = README.read_text()
    assert [page.name for page in DOCS if f"(docs/{page.name})" not in readme] == []


@pytest.mark.parametrize("name", VOTERS)
def test_results_are_those_in_the_artefact(released, name):
    path = released / f"{name}.onnx"
    says = open_artefact(path, "cpu", threads=1).metadata
    found = row(REPOSITORY / "docs" / "results.md", f"`{name}`")
    assert found[1:5] + found[6:8] == [
        f"{says['parameters'] / 1e6:.2f} M",
        f"{says['test_accuracy']:.2%}",
        f"{says['test_macro_f1']:.4f}",
        f"{says['test_loss']:.4f}",
        f"{says['training_seconds'] / 60:.0f} min",
        f"{path.stat().st_size / 2**20:.1f} MiB",
    ]


def test_consensus_row_is_that_of_consensus_json(released):
    figures = load_consensus(released).figures
    assert row(REPOSITORY / "docs" / "results.md", "consensus")[2:6] == [
        f"{figures['test_accuracy']:.2%}",
        f"{figures['test_macro_f1']:.4f}",
        f"{figures['test_loss']:.4f}",
        f"{figures['test_ece']:.4f}",
    ]


@pytest.mark.parametrize("path, name", [(path, name) for path, parts in PARTS.items() for name in parts])
def test_results_are_those_recorded(released, path, name):
    part = PARTS[path][name](Recorded(released, REPOSITORY / "results"))
    assert f"<!-- {name} -->\n{part}<!-- /{name} -->" in (REPOSITORY / path).read_text()


def test_trivial_baseline_is_the_share_of_ones(mnist_root):
    _, labels = mnist.load("test", mnist_root)
    assert row(README, 'always "1"')[2] == f"{(labels == 1).float().mean().item():.2%}"


def spoken(default):
    if default in (None, ()):
        return "none"
    return ",".join(default) if isinstance(default, tuple) else str(default)


def test_settings_table_is_complete():
    table = rows(REPOSITORY / "docs" / "operations.md", "variable")
    found = {cells[0].strip("`"): cells[1].strip("`") for cells in table}
    fields = Settings.model_fields
    assert list(found) == [PREFIX + name.upper() for name in fields]
    for name in fields.keys() - {"models", "threads"}:
        assert found[PREFIX + name.upper()] == spoken(fields[name].default)


def test_errors_are_those_of_the_service():
    table = rows(REPOSITORY / "docs" / "api.md", "status")
    assert {int(status): meaning for status, meaning in table} == MEANING


def test_tree_names_every_folder():
    (tree,) = (block for block in blocks(README, "") if block.startswith("service/"))
    for package in ("service", "training"):
        folders = {path.parent.name for path in (REPOSITORY / package).glob("*/*.py")}
        assert [folder for folder in folders if f"  {folder}/ " not in tree] == [], package


def commands(page: Path, program: str) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith(program)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_modules_that_exist(page):
    named = re.findall(r"python -m ((?:service|training|benchmarks|tests)[\w.]*)", "\n".join(blocks(page, "sh")))
    paths = [REPOSITORY / name.replace(".", "/") for name in named]
    assert [path for path in paths if not path.with_suffix(".py").exists() and not path.is_dir()] == []


@pytest.mark.slow
def test_examples_work_as_written(released, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    pages = [README, REPOSITORY / "docs" / "api.md"]
    with serving(QUINTET_DEVICE="cpu") as address:
        for command in [command for page in pages for command in commands(page, "curl")]:
            command = command.replace("http://localhost:3000", address)
            answer = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
            assert answer.stdout.lstrip("[").startswith(('{"digit":7,"confidence":', '{"text":"')), command
        names = {}
        for example in [example for page in pages for example in blocks(page, "python")]:
            exec(example.replace("http://localhost:3000", address), names)
    assert names["prediction"]["digit"] == 7
    assert names["errors"] == ["This is text; send a picture, as PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF."]
    assert [len(names["answers"]["digit"]), names["answers"]["accepted"][0]] == [2, False]


def quintet(command: str) -> list[str]:
    """The arguments of a command of the README, run by this Python."""
    words = shlex.split(command, comments=True)
    assert words[0] == ".venv/bin/quintet"
    return [sys.executable, "-m", "service", *words[1:]]


@pytest.mark.parametrize("name, text", [("predict", "7"), ("read", "1969")])
def test_commands_without_a_server_work_as_written(released, name, text):
    (command,) = commands(README, f".venv/bin/quintet {name}")
    answer = subprocess.run(quintet(command), cwd=REPOSITORY, capture_output=True, text=True, check=True)
    _, line, *_ = answer.stdout.splitlines()
    assert line.split()[0] == quintet(command)[-1] and text in line.split()[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_those_of_quintet(page):
    named = re.findall(r"quintet ([a-z]+)", "\n".join(blocks(page, "sh")))
    assert set(named) <= {"serve", "predict", "read", "batch", "settings", *WORKSHOP}
