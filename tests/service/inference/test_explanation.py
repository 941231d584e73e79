"""Explanations: occlusion, attention, proposals."""

import numpy as np
import pytest

from service.inference.explanation import CELL, GRID, covered_images, explain
from service.inference.predictor import Predictor
from service.picture.digit import canonicalise
from tests.conftest import draw


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=2)


@pytest.fixture(scope="module")
def seven(finder):
    return canonicalise(draw("7"), finder).image


def test_only_squares_with_ink_are_covered():
    image = np.zeros((28, 28), np.uint8)
    image[0, 0] = 255
    covered, places = covered_images(image)
    assert places == [(0, 0)]
    assert not covered.any()
    assert image[0, 0] == 255
    image[14, 14] = 255  # a square is wider than its cell
    assert covered_images(image)[1] == [(0, 0), (3, 3), (3, 4), (4, 3), (4, 4)]


def test_blank_image_has_empty_maps(predictor):
    looked = explain(predictor, np.zeros((28, 28), np.uint8), predictor.names, 0)
    assert not any(np.any(one.occlusion) for one in looked.values())


def test_occlusion_is_how_far_the_probability_falls(predictor, seven):
    names = ["cnn", "vit"]
    looked = explain(predictor, seven, names, 7)
    covered, places = covered_images(seven)
    whole = predictor.classify(seven[None, None], names)
    for image, (row, column) in zip(covered, places, strict=True):
        without = predictor.classify(image[None], names)
        for name in names:
            fall = whole.probabilities(name)[0, 7] - without.probabilities(name)[0, 7]
            assert looked[name].occlusion[row][column] == pytest.approx(fall, abs=0.02)  # 8 bits round by batch


def test_ink_that_a_network_needs_weighs_more_than_paper(predictor, seven):
    for looked in explain(predictor, seven, predictor.names, 7).values():
        occlusion = np.array(looked.occlusion)
        assert occlusion.shape == (GRID, GRID)
        assert np.abs(occlusion).max() <= 1
        assert occlusion.max() > 0.1
        row, column = np.unravel_index(occlusion.argmax(), (GRID, GRID))
        near = seven[max(row * CELL - 2, 0) : (row + 1) * CELL + 2, max(column * CELL - 2, 0) : (column + 1) * CELL + 2]
        assert near.any()


def test_vision_transformer_has_attention_and_the_detector_proposals(predictor, seven):
    looked = explain(predictor, seven, predictor.names, 7)
    assert [name for name, one in looked.items() if one.attention is not None] == ["vit"]
    attention = np.array(looked["vit"].attention)
    assert attention.shape == (GRID, GRID) and 0.5 < attention.sum() < 1.01
    assert [name for name, one in looked.items() if one.proposals is not None] == ["faster_rcnn"]
    best = looked["faster_rcnn"].proposals[0]
    assert best.objectness > 0.9
    rows, columns = np.flatnonzero(seven.any(1)), np.flatnonzero(seven.any(0))
    assert best.box == pytest.approx([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], abs=4)


def test_models_without_explanations_have_only_occlusion(small_models, seven):
    predictor = Predictor(small_models, "cpu", threads=1)
    looked = explain(predictor, seven, ["vit"], 1)["vit"]
    assert (looked.attention, looked.proposals) == (None, None)
