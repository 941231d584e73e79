"""The figures, links, commands and examples of the README and of docs/ are true."""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.cli import WORKSHOP
from service.http.openapi import ERRORS
from tests.conftest import REPOSITORY
from training.records import Recorded
from training.report import PARTS

README = REPOSITORY / "README.md"
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [*sorted(REPOSITORY.glob("*.md")), *DOCS]


def blocks(page: Path, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in fenced if kind == language]


@pytest.mark.parametrize("path, name", [(path, name) for path, parts in PARTS.items() for name in parts])
def test_results_are_those_recorded(released, path, name):
    part = PARTS[path][name](Recorded(released, REPOSITORY / "results"))
    assert f"<!-- {name} -->\n{part}<!-- /{name} -->" in (REPOSITORY / path).read_text()


def test_errors_are_those_of_the_service():
    table = re.findall(r"^\| (\d{3}) \| (.+) \|$", (REPOSITORY / "docs" / "api.md").read_text(), re.MULTILINE)
    assert {int(status): meaning for status, meaning in table} == {
        status: meaning for status, (meaning, _) in ERRORS.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_commands_lead_to_what_exists(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if not re.match("[a-z]+:", link)]
    for path, _, anchor in (link.partition("#") for link in links):
        file = page.parent / path if path else page
        assert file.exists() and (not anchor or anchor in anchors(file)), f"{path}#{anchor}"
    shell = "\n".join(blocks(page, "sh"))
    modules = re.findall(r"python -m ((?:service|training|benchmarks|tests)[\w.]*)", shell)
    assert [name for name in modules if find_spec(name) is None] == []
    named = set(re.findall(r"quintet ([a-z]+)", shell))
    assert named <= {"serve", "predict", "read", "batch", "settings", *WORKSHOP}


def anchors(page: Path) -> set[str]:
    """The addresses that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path, program: str) -> list[str]:
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.startswith(program)]


@pytest.mark.slow
def test_examples_work_as_written(address, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    pages = [README, REPOSITORY / "docs" / "api.md"]
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
