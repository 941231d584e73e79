import json

import cv2
import numpy as np
import pytest

from benchmarks import photographs

AROUND_INK = 7  # of the hardships, the last, lie around what is written, or cut it out


@pytest.mark.parametrize("digits", [1, photographs.NUMBER])
@pytest.mark.parametrize("hardship", photographs.HARDSHIPS[:-AROUND_INK])
def test_photograph_holds_its_digits(hardship, digits):
    images = np.zeros((digits, 28, 28), np.uint8)
    images[:, 4:24, 12:16] = 255
    generators = [np.random.default_rng(0) for _ in range(2)]
    blank, page = (hardship(seen, one) for seen, one in zip((np.zeros_like(images), images), generators, strict=True))
    assert page.shape == (*photographs.SIZE, 3)
    ink = np.uint8(np.abs(page - blank).max(2) > 10)
    assert 0.001 < ink.mean() < 0.2
    assert cv2.connectedComponents(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((3, 3))))[0] - 1 == digits


@pytest.mark.parametrize("digits", [1, photographs.NUMBER])
@pytest.mark.parametrize("hardship", photographs.HARDSHIPS[-AROUND_INK:])
def test_photograph_depends_on_its_digits(hardship, digits):
    images = np.zeros((2, digits, 28, 28), np.uint8)
    images[:, :, 4:24, 12:16] = 255
    images[1, :, 12:16, 12:16] = 0  # a stroke with a gap
    one, other = (hardship(seen, np.random.default_rng(0)) for seen in images)
    assert one.shape == other.shape and one.shape[2] == 3
    assert 0.0005 < (np.abs(one - other).max(2) > 10).mean() < 0.3


def test_last_line_is_json_with_a_row_for_each_hardship(capsys, released, mnist_root):
    photographs.main(["--count", "2", "--models", str(released), "--data", str(mnist_root)])
    right = json.loads(capsys.readouterr().out.splitlines()[-1])["right"]
    assert list(right) == [hardship.__name__ for hardship in photographs.HARDSHIPS]
    assert right["photograph"][0] == 1.0 and all(0 <= share <= 1 for shares in right.values() for share in shares)
