"""What the benchmarks measure with, and how their figures get into docs/results.md."""

import importlib
import json

import pytest

from benchmarks import NAMES, gpu, http, offline, pictures
from benchmarks.records import PAGE, RESULTS

TABLES = {
    name: table
    for module in (importlib.import_module(f"benchmarks.{name}") for name in NAMES if name != "gpu")
    for name, table in module.TABLES.items()
}


@pytest.mark.parametrize("name", TABLES)
def test_page_shows_what_was_recorded(name):
    path = RESULTS / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} was not recorded")
    table = TABLES[name](json.loads(path.read_text()))
    assert f"<!-- {name} -->\n{table.strip()}\n<!-- /{name} -->" in PAGE.read_text()


def test_service_is_held_against_each_server_of_the_same_round():
    def row(turn, server, speed):
        case = {"round": turn, "server": server, "models": "cnn", "connections": 16}
        return case | {"cpu_ms": 0.5, "requests_per_sec": speed}

    rows = [row(0, "floor", 1000.0), row(0, "service", 800.0), row(1, "floor", 100.0), row(1, "service", 90.0)]
    floor, service = http.summary(rows)
    assert floor["service_ratio"] == [pytest.approx(0.85), 0.8, 0.9] and service["service_ratio"] == [1, 1, 1]
    assert http.summary(rows[:1])[0]["service_ratio"] is None


def test_exact_pictures_and_wrong_characters_are_counted():
    said = {b"a": "12", b"b": "3", b"c": ""}
    row = pictures.right(said.__getitem__, [(b"a", "12"), (b"b", "34"), (b"c", "5")])
    assert row == {"n": 3, "exact": pytest.approx(1 / 3), "character_errors": pytest.approx(2 / 5)}


@pytest.mark.slow
def test_models_are_measured_by_batch(small_models, small_mnist, monkeypatch, capsys):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("MNIST_ROOT", str(small_mnist))
    offline.main(["--calls", "2"])
    assert {"`cnn`", "all"} <= {line.split("|")[1] for line in capsys.readouterr().out.splitlines() if "|" in line}


@pytest.mark.slow
def test_all_that_a_gpu_tells_is_in_one_file(small_models, small_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("MNIST_ROOT", str(small_mnist))
    out = tmp_path / "gpu.json"
    with pytest.raises(SystemExit) as end:
        gpu.main(["--device", "cpu", "--images", "40", "--calls", "2", "--out", str(out), "--without", "http"])
    found = json.loads(out.read_text())
    assert not end.value.code and set(found) == {"seconds", *gpu.PARTS} - {"http"}
    assert found["parity"]["cnn"]["largest_difference"] == pytest.approx(0, abs=1e-6)
    assert set(found["placement"]["cnn (32, 28, 28)"]) == {"CPUExecutionProvider"}
