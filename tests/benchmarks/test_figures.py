"""What the benchmarks measure with, and how their figures get into docs/results.md."""

import importlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from benchmarks import NAMES, corruptions, gpu, http, offline, photographs, pictures
from benchmarks.records import PAGE, RESULTS
from benchmarks.servers import load, request

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


@pytest.fixture
def server():
    """A server that answers every third request with 503, and its port and the paths that it was asked for."""
    paths: list[str] = []

    class Moody(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(503 if len(paths) % 3 == 0 else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Moody) as moody:
        threading.Thread(target=moody.serve_forever, daemon=True).start()
        yield moody.server_port, paths
        moody.shutdown()


def test_refusals_are_counted_and_are_no_answers(server):
    port, paths = server
    found = load(port, [request(path, b"picture") for path in ("/a", "/b", "/c", "/d")], connections=2, seconds=0.5)
    assert set(found["statuses"]) == {200, 503} and sum(found["statuses"].values()) <= found["answers"] == len(paths)
    assert len(found["milliseconds"]) == found["statuses"][200] and min(found["milliseconds"]) > 0


def test_service_is_held_against_each_server_of_the_same_round():
    def row(turn, server, speed):
        case = {"round": turn, "server": server, "models": "cnn", "connections": 16}
        return case | {"cpu_ms": 0.5, "requests_per_sec": speed}

    rows = [row(0, "floor", 1000.0), row(0, "service", 800.0), row(1, "floor", 100.0), row(1, "service", 90.0)]
    floor, service = http.summary(rows)
    assert floor["service_ratio"] == [pytest.approx(0.85), 0.8, 0.9] and service["service_ratio"] == [1, 1, 1]
    assert http.summary(rows[:1])[0]["service_ratio"] is None


@pytest.mark.parametrize("digits", [1, photographs.NUMBER])
@pytest.mark.parametrize("hardship", photographs.HARDSHIPS[:-7])  # the last lie around what is written, or cut it out
def test_photograph_shows_its_digits(hardship, digits):
    images = np.zeros((digits, 28, 28), np.uint8)
    images[:, 4:24, 12:16] = 255
    blank, page = (hardship(seen, np.random.default_rng(0)) for seen in (np.zeros_like(images), images))
    ink = np.uint8(np.abs(page - blank).max(2) > 10)
    assert page.shape == (*photographs.SIZE, 3) and 0.001 < ink.mean() < 0.2
    assert cv2.connectedComponents(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((3, 3))))[0] - 1 == digits


@pytest.mark.parametrize("corruption", corruptions.CORRUPTIONS)
def test_a_corruption_changes_the_image_and_not_its_form(corruption):
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 11:17] = 230
    (made,) = corruptions.corrupted(image[None], corruption, seed=3)
    assert made.shape == (28, 28) and made.dtype == np.uint8
    assert (made == image).all() == (corruption is corruptions.identity)


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
