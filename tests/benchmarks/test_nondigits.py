import os

import numpy as np
import pytest

from benchmarks import nondigits
from benchmarks.photographs import SIZE, encoded, photograph
from service.inference.predictor import Predictor
from training.data import mnist


@pytest.mark.parametrize("made", nondigits.PAPERS)
def test_a_paper_is_as_large_as_a_photograph_and_hardly_printed_on(made):
    page = made(np.random.default_rng(0))
    assert page.shape == (*SIZE, 3)
    across, down = (np.abs(np.diff(page, axis=axis)) > 30 for axis in (0, 1))
    assert across.mean() < 0.15 and down.mean() < 0.15


def test_what_is_accepted_and_read_is_counted(released, mnist_root):
    images, _ = mnist.load("validation", mnist_root)
    generator = np.random.default_rng(0)
    digit = encoded(photograph(images[:1, 0].numpy(), generator))
    blank = encoded(nondigits.blank(generator))
    row = nondigits.measure([digit, blank, b"no image"], Predictor(released, "cpu", os.cpu_count() or 1))
    assert row == {"n": 3, "accepted": 1, "read": 1}
