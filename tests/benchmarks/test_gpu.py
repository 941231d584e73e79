"""The GPU benchmark on the CPU provider: everything except the GPU itself."""

import json

import pytest

from benchmarks import gpu
from service.inference.shapes import SIZES


@pytest.fixture
def found(small_models, small_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("QUINTET_MODELS", str(small_models))
    monkeypatch.setenv("MNIST_ROOT", str(small_mnist))
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--images", "40", "--calls", "2", "--out", str(out), "--without", "http"]
    with pytest.raises(SystemExit) as end:
        gpu.main(arguments)
    assert not end.value.code
    return json.loads(out.read_text())


def test_everything_is_in_one_file(found):
    assert set(found) == {"seconds", *gpu.PARTS} - {"http"}
    assert found["machine"]["device"] == "cpu"
    assert found["parity"]["cnn"] == {
        "images": 40,
        "largest_difference": pytest.approx(0, abs=1e-6),
        "images_above_tolerance": 0,
        "other_digits": 0,
        "other_digits_than_served_on_cpu": 0,
    }
    assert set(found["placement"]["cnn (32, 28, 28)"]) == {"CPUExecutionProvider"}
    *rows, captured = found["speed"]
    assert {(row["engine"], row["model"], row["batch"]) for row in rows} == {
        (engine, model, batch)
        for engine in ("free", "fixed", "graphs")
        for model in ("cnn", "faster_rcnn", "vit", "all")
        for batch in SIZES
    }
    assert all(captured["captured"].values())


def test_part_that_fails_is_recorded_and_the_others_go_on(monkeypatch):
    def fails(_setup):
        raise RuntimeError("CUDA failure 2: out of memory")

    monkeypatch.setattr(gpu, "PARTS", {"speed": fails, "memory": lambda _setup: {"file_mib": 1}})
    found = gpu.collect(None, ["speed", "memory"])
    assert found["speed"] == {"error": "RuntimeError: CUDA failure 2: out of memory"}
    assert found["memory"] == {"file_mib": 1}


def test_without_a_gpu_it_says_so(monkeypatch):
    def no_library(name):
        raise OSError(name)

    monkeypatch.setattr("service.inference.driver.ctypes.CDLL", no_library)
    with pytest.raises(SystemExit, match="there is no NVIDIA driver"):
        gpu.main([])
