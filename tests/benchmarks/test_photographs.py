import json

import cv2
import numpy as np
import pytest

from benchmarks import photographs


@pytest.mark.parametrize("digits", [1, photographs.NUMBER])
@pytest.mark.parametrize("hardship", photographs.HARDSHIPS)
def test_photograph_holds_its_digits(hardship, digits):
    images = np.zeros((digits, 28, 28), np.uint8)
    images[:, 4:24, 12:16] = 255
    generators = [np.random.default_rng(0) for _ in range(2)]
    blank, page = (hardship(seen, one) for seen, one in zip((np.zeros_like(images), images), generators, strict=True))
    assert page.shape == (*photographs.SIZE, 3)
    ink = np.uint8(np.abs(page - blank).max(2) > 10)
    assert 0.001 < ink.mean() < 0.2
    assert cv2.connectedComponents(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((3, 3))))[0] - 1 == digits


def test_last_line_is_json_with_a_row_for_each_hardship(capsys, released, mnist_root):
    photographs.main(["--count", "2", "--models", str(released), "--data", str(mnist_root)])
    right = json.loads(capsys.readouterr().out.splitlines()[-1])["right"]
    assert list(right) == [hardship.__name__ for hardship in photographs.HARDSHIPS]
    assert right["photograph"][0] == 1.0 and all(0 <= share <= 1 for shares in right.values() for share in shares)
