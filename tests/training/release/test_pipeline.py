"""From the data to the report in one command."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tests.training.test_weights import imagenet
from training import networks
from training.release import pipeline
from training.release.pipeline import Pipeline, Step


def test_if_one_network_fails_the_others_are_finished_and_nothing_is_evaluated(tmp_path, monkeypatch):
    """Bug: a failed export ended the other trainings, and one that had not begun yet was started."""
    called = []

    def call(self, module, *arguments, log=None):
        called.append((module, *arguments[:1]))
        if (module, *arguments[:1]) == ("training.export", "vit"):
            raise RuntimeError("the parity of vit")

    monkeypatch.setattr(Pipeline, "call", call)
    monkeypatch.setattr(pipeline.signal, "signal", lambda *_: None)
    for name in ("vit", "cnn", "alexnet"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / pipeline.WEIGHTS).touch()
    steps = [Step(name=name, epochs=1, done=0, epoch=1.0) for name in ("vit", "cnn", "alexnet")]
    with pytest.raises(RuntimeError, match="the parity of vit"):
        Pipeline(runs=tmp_path / "runs", models=tmp_path, results=tmp_path).run(steps)
    released = [
        (module, name) for name in ("vit", "cnn", "alexnet") for module in ("training.train", "training.export")
    ]
    assert called == released


def test_the_plan_takes_the_longest_first():
    assert pipeline.makespan([50, 30, 20, 10], 2) == 60
    assert pipeline.makespan([50, 30, 20, 10], 1) == 110


@pytest.mark.slow
@pytest.mark.skipif("LONG_TESTS" not in os.environ, reason="trains all five for minutes: LONG_TESTS=1 runs it")
def test_one_command_releases_all_and_goes_on_after_a_kill(small_mnist, small_writers, tmp_path):
    """A run that is killed and started again makes all artefacts, their consensus and the report."""
    (tmp_path / "README.md").write_text("<!-- summary -->\n<!-- /summary -->\n")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from training.train import main; main()"
    command = [sys.executable, "-c", code, str(REPOSITORY), "--all", "--jobs", "2", "--epochs", "3", "--device", "cpu"]
    command += ["--data", str(small_mnist), "--writers", str(small_writers)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "IMAGENET_ROOT": str(tmp_path)}
    imagenet(tmp_path)
    plan = subprocess.run([*command, "--dry-run"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert plan.returncode == 0, plan.stderr
    assert "Training takes about" in plan.stdout and not (tmp_path / "runs").exists()
    first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("runs/*/metrics.jsonl")) and time.monotonic() < deadline:
        assert first.poll() is None
        first.stdout.readline()
        time.sleep(0.2)
    first.terminate()
    assert first.wait(60) != 0 and not list(tmp_path.glob("models/*.onnx"))
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {path.stem for path in tmp_path.glob("models/*.onnx")} == set(networks.NAMES)
    assert (tmp_path / "models" / "consensus.json").exists()
    assert [run["name"] for run in json.loads((tmp_path / "results" / "runs.json").read_text())] == networks.NAMES
    assert "## Other people's digits" in (tmp_path / "docs" / "results.md").read_text()
    assert "| `cnn` |" in (tmp_path / "README.md").read_text()
