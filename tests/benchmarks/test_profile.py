from collections import Counter

from benchmarks import profile

PYTHON = "/usr/lib/python3.11"
SITE = f"{PYTHON}/site-packages"


def test_a_sample_belongs_to_the_innermost_file_that_is_listed():
    route = (
        f"run ({SITE}/uvicorn/server.py:80);app ({SITE}/starlette/routing.py:70);predict (/x/service/http/routes.py:69)"
    )
    lines = [
        f"thread (7): MainThread;{route} 3",
        f"thread (7): MainThread;{route};dumps ({PYTHON}/json/__init__.py:5) 4",
        f"thread (7): MainThread;{route};acquire ({PYTHON}/threading.py:1) 2",
        f"thread (8): AnyIO worker thread;_bootstrap ({PYTHON}/threading.py:1000) 1",
    ]
    assert profile.layers(lines) == {
        7: {profile.LAYERS["/service/http/"]: 5, profile.LAYERS["/json/"]: 4},
        8: {profile.REST: 1},
    }


def test_samples_share_out_the_time_of_their_thread():
    samples = {7: Counter({"a": 3, "b": 1}), 8: Counter({"a": 1})}
    found = profile.microseconds(samples, {7: 0.4, 8: 0.1, 9: 0.2}, answers=1000)
    assert found == {"a": 400.0, "b": 100.0, profile.NATIVE: 200.0}


def test_table_has_a_line_for_each_layer_and_their_sum():
    rows = [
        {"server": "service", "connections": 1, "layers_us": {"a": 30.0, "b": 70.0}, "worker_us": 100.0},
        {"server": "floor", "connections": 1, "layers_us": {"a": 20.0}, "worker_us": 20.0},
    ]
    assert profile.table(rows).splitlines()[2:] == ["| b | 70 | 0 |", "| a | 30 | 20 |", "| all | 100 | 20 |"]
