import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from service.inference.device import LARGEST, DeviceLost, choose_device, open_session
from service.inference.predictor import Predictor, UnknownModel
from tests.conftest import REPOSITORY


@pytest.fixture
def predictor(small_models):
    return Predictor(small_models, "cpu", threads=1)


@pytest.mark.gpu
def test_cuda_runs_on_cuda(released):
    if choose_device("auto") == "cpu":
        pytest.skip("there is no GPU")
    on_gpu = Predictor(released, "cuda", threads=1)
    images = np.random.default_rng(0).integers(0, 256, (30, 1, 28, 28), np.uint8)
    for name in on_gpu.names:
        assert on_gpu.artefacts[name].device == "cuda"
        found = on_gpu.classify(images, [name]).by_name[name].probabilities
        on_cpu = open_session(released / f"{name}.onnx", "cpu", 1, floats=True)
        expected = on_cpu.run(["probabilities"], {"images": images})[0]
        assert np.abs(found - expected).max() < 1e-3


def test_choice_of_models_keeps_the_serving_order_and_an_unknown_one_is_refused(predictor):
    assert predictor.choose(None) == ["cnn", "faster_rcnn", "vit"]
    assert predictor.choose("vit, cnn") == ["cnn", "vit"]
    for wanted in ("", "x" * 10_000):
        with pytest.raises(UnknownModel, match="served models: cnn, faster_rcnn, vit.") as error:
            predictor.choose(wanted)
        assert len(str(error.value)) < 120


class Broken:
    """A session that fails the first `times` runs, then runs as `session` does."""

    def __init__(self, session, times):
        self.session, self.times = session, times

    def run(self, *arguments):
        if self.times:
            self.times -= 1
            raise RuntimeError("CUDA failure 719: unspecified launch failure\nat a line of code")
        return self.session.run(*arguments)


def break_session(predictor, name, times):
    artefact = predictor.artefacts[name]
    predictor.artefacts[name] = replace(artefact, session=Broken(artefact.session, times))


def test_models_that_fail_again_on_the_smallest_run_are_lost(predictor):
    break_session(predictor, "cnn", times=2)
    with pytest.raises(
        DeviceLost, match="^The models no longer run on 'cpu': CUDA failure 719: unspecified launch fail"
    ):
        predictor.classify(np.zeros((3, 1, 28, 28), np.uint8), ["cnn"])


def test_a_failure_that_passes_fails_only_its_request(predictor):
    break_session(predictor, "cnn", times=1)
    with pytest.raises(RuntimeError, match="CUDA failure 719") as error:
        predictor.classify(np.zeros((3, 1, 28, 28), np.uint8), ["cnn"])
    assert not isinstance(error.value, DeviceLost)
    assert len(predictor.classify(np.zeros((3, 1, 28, 28), np.uint8), ["cnn"]).verdicts) == 3


class Held:
    """A session that notes the first pixel of each image of its runs, and on request waits until it may go on."""

    def __init__(self, session):
        self.session, self.runs = session, []
        self.running, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def run(self, names, inputs):
        self.running.set()
        assert self.may_go_on.wait(10)
        self.runs.append(inputs["images"][:, 0, 0, 0].tolist())
        return self.session.run(names, inputs)


@pytest.fixture
def held(predictor):
    """The sessions of two models, by name; cnn's is in the middle of a run for an image of zeros until it may go on."""
    for name in ("cnn", "vit"):
        artefact = predictor.artefacts[name]
        predictor.artefacts[name] = replace(artefact, session=Held(artefact.session))
    sessions = {name: predictor.artefacts[name].session for name in ("cnn", "vit")}
    sessions["cnn"].may_go_on.clear()
    thread = threading.Thread(target=predictor.classify, args=(image(0), ["cnn"]))
    thread.start()
    assert sessions["cnn"].running.wait(10)
    yield sessions
    sessions["cnn"].may_go_on.set()
    thread.join()


def image(*values):
    return np.stack([np.full((1, 28, 28), value, np.uint8) for value in values])


def test_idle_models_run_at_once(predictor):
    assert predictor.submit(image(5), ["cnn"]).done()


def test_images_that_wait_together_run_together(predictor, held):
    waiting = [predictor.submit(images, ["cnn"]) for images in (image(1), image(2, 3), image(4))]
    assert not any(future.done() for future in waiting)
    held["cnn"].may_go_on.set()
    parts = [future.result(10) for future in waiting]
    assert held["cnn"].runs == [[0], [1, 2, 3, 4]]
    assert [len(part.verdicts) for part in parts] == [1, 2, 1]
    assert (np.concatenate([part.mean for part in parts]) == predictor.classify(image(1, 2, 3, 4), ["cnn"]).mean).all()


def test_batch_holds_one_choice_of_models_in_the_order_of_arrival(predictor, held):
    waiting = [predictor.submit(image(1), ["cnn"]), predictor.submit(image(2), ["vit"])]
    waiting += [predictor.submit(image(3), ["cnn"]), predictor.submit(image(4), ["vit"])]
    held["cnn"].may_go_on.set()
    for future in waiting:
        future.result(10)
    assert held["cnn"].runs == [[0], [1, 3]] and held["vit"].runs == [[2, 4]]


def test_batch_has_a_largest_size(predictor, held):
    waiting = [predictor.submit(image(*[number] * 12), ["cnn"]) for number in range(4)]
    held["cnn"].may_go_on.set()
    for future in waiting:
        future.result(10)
    assert [len(run) for run in held["cnn"].runs] == [1, 24, 24]
    with pytest.raises(ValueError, match=f"33 images; a batch holds at most {LARGEST}"):
        predictor.submit(image(*[1] * 33), ["cnn"])


def test_cancelled_job_is_left_out_of_the_batch(predictor, held):
    gone, left = predictor.submit(image(1), ["cnn"]), predictor.submit(image(2), ["cnn"])
    assert gone.cancel()
    held["cnn"].may_go_on.set()
    assert len(left.result(10).verdicts) == 1 and held["cnn"].runs == [[0], [2]]


def test_failed_batch_fails_only_its_own_jobs(predictor, held):
    waiting = [predictor.submit(image(1), ["cnn"]), predictor.submit(image(2), ["cnn"])]
    failing = [predictor.submit(image(3)[:, :, :27], ["vit"]), predictor.submit(image(4)[:, :, :27], ["vit"])]
    held["cnn"].may_go_on.set()
    assert [len(future.result(10).verdicts) for future in waiting] == [1, 1]
    messages = [str(future.exception(10)) for future in failing]
    assert len(messages) == 2 and all(message.startswith("The batch failed: ") for message in messages)
    assert len(predictor.classify(image(5), ["vit"]).verdicts) == 1


def test_other_work_for_the_device_waits_for_its_turn(predictor, held):
    order = []
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(predictor.do, lambda: order.append(len(held["cnn"].runs)))
        held["cnn"].may_go_on.set()
        work.result(10)
    assert order == [1]


def test_predictor_that_nobody_needs_ends_its_thread(small_models):
    predictor = Predictor(small_models, "cpu", threads=1)
    (thread,) = [one for one in threading.enumerate() if one.name == "device" and one is predictor.thread]
    del predictor
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_onnxruntime_never_falls_back_by_itself(small_models, monkeypatch):
    """Bug: onnxruntime silently fell back to the CPU, so the message gave a wrong reason."""
    monkeypatch.setattr("service.inference.device.providers_of", lambda *_: [("CPUExecutionProvider", "no options")])
    with pytest.raises(ValueError):
        open_session(small_models / "cnn.onnx", "cpu", 1)


@pytest.mark.slow
def test_long_lines_leave_no_memory_behind(released):
    """Bug: onnxruntime kept the memory of the largest picture, 300 MB, and each larger one added to it.

    It runs in a process of its own, in which no other test holds or frees memory.
    """
    program = f"""
import numpy as np, psutil
from pathlib import Path
from service.inference.predictor import Predictor
predictor = Predictor(Path({str(released)!r}), "cpu", threads=1)
memory = []
for width in (64, 2048, 4096):
    predictor.read_lines(np.zeros((8, 1, 40, width), np.uint8))
    memory.append(psutil.Process().memory_info().rss)
print(memory[-1] - memory[0])
"""
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert int(printed.stdout) < 100e6
