"""What is inside a network: covered squares, layers, kernels, feature maps, attention, proposals."""

import base64
from functools import cache, partial
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from service.inference.explanation import CELL, GRID, Explainer, covered_images, occlusion
from service.inference.predictor import Predictor
from service.picture.digit import canonicalise
from tests.conftest import VOTERS, draw
from training import networks


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=1)


@pytest.fixture(scope="module")
def explainer(predictor):
    return Explainer(predictor, threads=1)


@pytest.fixture(scope="module")
def seven(finder):
    return canonicalise(draw("7"), finder).image


def test_only_squares_with_ink_are_covered(predictor):
    image = np.zeros((28, 28), np.uint8)
    assert not occlusion(predictor, image, "cnn", 0).any()
    image[0, 0] = 255
    covered, places = covered_images(image)
    assert places == [(0, 0)] and not covered.any() and image[0, 0] == 255
    image[14, 14] = 255  # a square is wider than its cell
    assert covered_images(image)[1] == [(0, 0), (3, 3), (3, 4), (4, 3), (4, 4)]


def test_occlusion_is_how_far_the_probability_falls(predictor, seven):
    falls = occlusion(predictor, seven, "vit", 7)
    covered, places = covered_images(seven)
    said = predictor.classify(np.stack([seven, *covered[:, 0]])[:, None][:32], ["vit"])
    said = said.by_name["vit"].probabilities[:, 7]
    for without, place in zip(said[1:], places, strict=False):
        assert falls[place] == pytest.approx(said[0] - without, abs=0.02)


@pytest.fixture(scope="module")
def inside(explainer, seven):
    """What is inside a network, by its name, while it reads a seven."""
    return cache(partial(explainer.explain, seven))


@pytest.mark.parametrize("name", VOTERS)
def test_ink_that_a_network_needs_weighs_more_than_paper(explainer, inside, seven, name):
    assert (inside(name).digit, explainer.explain(seven, name, 3).digit) == (7, 3)
    falls = np.array(inside(name).occlusion)
    assert falls.shape == (GRID, GRID) and 0.1 < falls.max() and np.abs(falls).max() <= 1
    row, column = np.unravel_index(falls.argmax(), (GRID, GRID))
    near = seven[max(row * CELL - 2, 0) : (row + 1) * CELL + 2, max(column * CELL - 2, 0) : (column + 1) * CELL + 2]
    assert near.any()


@pytest.mark.parametrize("name", VOTERS)
def test_layers_are_those_of_the_trained_module(explainer, inside, name):
    """Batch norm is folded into convolutions, and norms and positions of a transformer are no layers."""
    torch = pytest.importorskip("torch")
    modules = list(networks.load(name).Network().modules())
    layers = inside(name).layers
    counted = {kind: sum(layer.kind == kind for layer in layers) for kind in ("convolution", "pooling", "dense")}
    assert counted["convolution"] == sum(isinstance(one, torch.nn.Conv2d) for one in modules)
    assert counted["dense"] == sum(isinstance(one, torch.nn.Linear) for one in modules)
    if name != "cnn":  # the last pooling of its module is left out
        assert counted["pooling"] == sum(isinstance(one, torch.nn.MaxPool2d) for one in modules)
    total = explainer.predictor.artefacts[name].metadata["parameters"]
    assert sum(layer.parameters for layer in layers) == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize("name", VOTERS)
def test_each_stage_shows_its_strongest_maps(inside, name):
    sides = [stage.side for stage in inside(name).stages]
    assert sides == sorted(set(sides), reverse=True) and len(sides) >= 2
    for stage in inside(name).stages:
        assert len(stage.shown) == min(16, stage.channels) and max(stage.shown) < stage.channels
        assert size_of(stage.maps) == (8 * (stage.side + 1) - 1, 2 * (stage.side + 1) - 1)
    first = inside(name).layers[0]
    assert size_of(inside(name).kernels)[0] == 8 * (first.kernel + 1) - 1


def size_of(url):
    return Image.open(BytesIO(base64.b64decode(url.partition(",")[2]))).size


def test_vision_transformer_has_attention_of_each_layer_and_head(inside):
    vit = networks.load("vit")
    attention = np.array(inside("vit").attention)
    assert attention.shape == (vit.BLOCKS, vit.HEADS, GRID, GRID)
    sums = attention.sum((2, 3))
    assert (0 < sums).all() and (sums < 1.03).all()
    assert inside("cnn").attention is None


def test_detector_has_proposals_and_what_it_reads_in_them(inside, seven):
    detector = inside("faster_rcnn")
    rows, columns = np.flatnonzero(seven.any(1)), np.flatnonzero(seven.any(0))
    where = pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=4)
    assert detector.proposals[0].objectness > 0.9 and detector.proposals[0].box == where
    assert (detector.found[0].digit, detector.found[0].box) == (7, where)
    assert detector.found[0].score > 0.5
    assert inside("vgg16").found is None
