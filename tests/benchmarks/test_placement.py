"""Runs where requirements/cuda.txt, nvidia-cuda-crt and gcc are installed; needs no GPU."""

import pytest

from benchmarks import placement
from service.inference import device


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    try:
        return placement.build(tmp_path_factory.mktemp("stand_in"))
    except placement.Missing as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", ["alexnet", "cnn", "faster_rcnn", "vgg16", "vit"])
def test_every_node_is_on_the_gpu_at_every_shape_that_is_served(library, released, name):
    """Bug: with a free batch, 26 nodes of faster_rcnn and 31 of vit ran on the CPU, so no CUDA graph was possible."""
    model = released / f"{name}.onnx"
    free, *fixed = placement.shapes_of(model)
    assert free is None and len(fixed) >= 3
    for shape in fixed:
        assert placement.place(model, shape, library).keys() == {device.PROVIDERS["cuda"]}, shape


def test_every_library_but_the_driver_comes_with_the_wheels(library):
    assert set(placement.missing_libraries()) <= {placement.DRIVER}


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(placement, "WHEELS", tmp_path)
    with pytest.raises(placement.Missing, match="holds no CUDA wheels; install requirements/cuda.txt."):
        placement.missing_libraries()
    with pytest.raises(placement.Missing, match="install requirements/cuda.txt and nvidia-cuda-crt."):
        placement.build(tmp_path)
