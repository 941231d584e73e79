"""Fixed shapes, buffers and the choice of graphs, on the CPU provider, which runs the same code.

Only `test_predictor.test_cuda_runs_on_cuda` and `benchmarks.gpu` say what a GPU does with it.
"""

import numpy as np
import pytest

from service.inference.cuda import FixedShapes
from service.inference.device import SIZES, CudaUnusable, DeviceLost, open_session
from service.inference.predictor import Predictor


@pytest.fixture(scope="module")
def plain(released):
    return Predictor(released, "cpu", threads=1)


@pytest.fixture(scope="module")
def fixed(plain):
    chosen = {name: plain.artefacts[name] for name in ("cnn", "faster_rcnn", "vit")}
    shapes = FixedShapes(chosen, "cpu", graph=False)
    yield shapes


@pytest.fixture
def small(small_models):
    return Predictor(small_models, "cpu", threads=1)


def noise(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("count", [1, 3, 32])
def test_fixed_shapes_answer_as_free_ones(plain, fixed, count):
    images, names = noise(count, 1, 28, 28), ["cnn", "faster_rcnn", "vit"]
    for name, (outputs, milliseconds) in fixed.classify(images, names).items():
        artefact = plain.artefacts[name]
        expected = dict(zip(artefact.outputs, artefact.session.run(artefact.outputs, {"images": images}), strict=True))
        assert outputs.keys() == expected.keys() and milliseconds > 0
        for key, values in expected.items():
            assert np.abs(outputs[key] - values).max() < 1e-3, key


def test_an_answer_stays_when_the_next_batch_overwrites_the_buffers(fixed):
    first = fixed.classify(noise(8, 1, 28, 28), ["cnn"])["cnn"][0]["probabilities"]
    before = first.copy()
    fixed.classify(noise(7, 1, 28, 28), ["cnn"])
    assert (first == before).all()


def test_graphs_are_used_where_they_can_be_captured(small):
    fixed = FixedShapes(small.artefacts, "cpu")
    assert len(fixed.captured) == len(SIZES) * 3 and all(fixed.captured.values())


def test_model_that_cannot_be_captured_runs_without_a_graph(small, caplog, monkeypatch):
    def refuse(model, *arguments, graph, **keywords):
        if graph and model == small.artefacts["vit"].content:
            raise RuntimeError("all compute graph nodes have not been partitioned to the CUDAExecutionProvider\nat ...")
        return open_session(model, *arguments, graph=graph, **keywords)

    monkeypatch.setattr("service.inference.cuda.open_session", refuse)
    with caplog.at_level("WARNING"):
        fixed = FixedShapes(small.artefacts, "cpu")
    assert not fixed.captured["vit at 1 x 28 x 28"] and fixed.captured["cnn at 1 x 28 x 28"]
    assert "vit at 1 x 28 x 28 runs without a CUDA graph: all compute graph nodes have not been part" in caplog.text
    assert fixed.classify(noise(2, 1, 28, 28), ["vit"])["vit"][0]["probabilities"].shape == (2, 10)


def test_graph_that_repeats_old_answers_is_not_used(small, monkeypatch):
    class Stale:
        """Runs as often as the warm-up, then leaves its outputs unchanged."""

        def __init__(self, session, runs):
            self.session, self.runs = session, runs

        def __getattr__(self, name):
            return getattr(self.session, name)

        def run_with_iobinding(self, *arguments):
            self.runs -= 1
            if self.runs >= 0:
                self.session.run_with_iobinding(*arguments)

    def opened(*arguments, graph, **keywords):
        return Stale(open_session(*arguments, graph=graph, **keywords), 3 if graph else 1_000)

    monkeypatch.setattr("service.inference.cuda.open_session", opened)
    fixed = FixedShapes({"cnn": small.artefacts["cnn"]}, "cpu")
    assert not any(fixed.captured.values())


def test_model_that_does_not_run_is_named(small, monkeypatch):
    def broken(*_arguments, **_keywords):
        raise RuntimeError("CUDA failure 2: out of memory\nat ...")

    monkeypatch.setattr("service.inference.cuda.open_session", broken)
    with pytest.raises(
        CudaUnusable, match="^cnn at 32 x 28 x 28 does not run on the GPU: CUDA failure 2: out of memory$"
    ):
        FixedShapes(small.artefacts, "cpu")


def test_lost_device_is_noticed(small):
    small.fixed = FixedShapes(small.artefacts, "cpu", graph=False)

    def fails(*_arguments):
        raise RuntimeError("CUDA failure 719: unspecified launch failure")

    for bound in small.fixed._bound.values():
        bound.run = fails
    with pytest.raises(DeviceLost, match="CUDA failure 719"):
        small.classify(noise(1, 1, 28, 28), ["cnn"])
