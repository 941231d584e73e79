"""Dependencies point downwards: training -> models/ <- service, and from room to room inside each."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PACKAGES = "service", "training", "benchmarks"

# Each room, and the rooms that it may import. A row may only name rows below it, so no two rooms need each other.
# A module that stands alone, such as service.answers, is a room too.
TABLE = """
training.train: training.own training.measure training.release training.loop training.runs training.command
    training.networks training.task training.data training.recipe
training.export: training.release training.runs training.command training.networks training.task
training.own: training.measure training.digits training.task training.recipe service.recogniser service.picture
training.evaluate: training.report training.measure training.records training.command training.task training.data
    service.inference
training.report: training.plots training.records training.runs training.command training.networks training.data
    service.inference
training.plots: training.measure training.records service.inference
training.measure: training.release training.records training.task training.data training.recipe service.recogniser
    service.inference service.picture service.answers
training.release: training.runs training.networks training.digits training.task service.inference
training.records: training.command service.inference
training.loop: training.runs training.task training.recipe
training.runs: training.command
training.command:
training.networks: training.scenes training.digits training.task training.data training.layers training.recipe
    service.reading service.picture
training.scenes: training.data training.recipe service.reading service.inference service.picture
training.digits: training.task training.data training.recipe
training.task:
training.data: training.recipe service.picture
training.layers:
training.recipe:
service.bento: service.lifecycle service.http service.recogniser service.inference service.settings service.picture
service.lifecycle: service.http
service.__main__: service.cli
service.cli: service.batch service.recogniser service.settings service.answers
service.batch: service.recogniser service.inference service.settings service.picture service.answers
service.http: service.recogniser service.inference service.settings service.picture service.answers
service.recogniser: service.reading service.inference service.settings service.picture service.answers
service.reading: service.inference service.picture service.answers
service.inference: service.picture service.answers
service.settings: service.picture
service.picture:
service.answers:
"""
ALLOWED = {name: set(others.split()) for name, others in re.findall(r"^(\S+):((?:.|\n +)*)", TABLE, re.MULTILINE)}


def modules(package: str) -> list[str]:
    paths = sorted((REPOSITORY / package).rglob("*.py"))
    return [".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def source(module: str) -> Path:
    path = REPOSITORY.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def package_of(module: str) -> str:
    return module if REPOSITORY.joinpath(*module.split(".")).is_dir() else module.rpartition(".")[0]


def imported(module: str) -> Iterator[str]:
    """The modules of this repository that `module` imports, anywhere in its text."""
    for node in ast.walk(ast.parse(source(module).read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package_of(module).split(".")[: -(node.level - 1) or None] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            inner = [f"{origin}.{alias.name}" for alias in node.names]
            names = [name if source(name).exists() else origin for name in inner]
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def room(module: str) -> str:
    """ "service.picture.ink" -> "service.picture": the row of the table that a module belongs to."""
    while module and module not in ALLOWED:
        module = module.rpartition(".")[0]
    return module


def test_every_row_of_the_table_points_down():
    rows = list(ALLOWED)
    assert [(row, other) for row in rows for other in ALLOWED[row] if rows.index(other) <= rows.index(row)] == []


def test_every_module_has_a_room():
    names = [*modules("service"), *modules("training")]
    assert [name for name in names if "." in name and not room(name)] == []


@pytest.mark.parametrize("name", ALLOWED)
def test_room_imports_only_what_the_table_allows(name):
    inside = [module for module in modules(name.split(".")[0]) if room(module) == name]
    arrows = {(module, other) for module in inside for other in imported(module) if room(other) not in ("", name)}
    assert inside, f"{name} is in the table but not in the tree"
    assert {(module, other) for module, other in arrows if room(other) not in ALLOWED[name]} == set()


def test_the_service_does_without_torch_and_training(small_models):
    imports = f"import sys, {', '.join(modules('service'))}"
    look = f"{imports}; print([n for n in ('torch', 'torchvision', 'training', 'onnx') if n in sys.modules])"
    environment = os.environ | {"QUINTET_MODELS": str(small_models)}
    command = [sys.executable, "-c", look]
    found = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
