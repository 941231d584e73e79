import json

import numpy as np
import pytest

from benchmarks import photographs


@pytest.mark.parametrize("hardship", photographs.HARDSHIPS)
def test_photograph_holds_its_digit(hardship):
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 12:16] = 255
    generators = [np.random.default_rng(0) for _ in range(2)]
    blank, page = (hardship(digit, one) for digit, one in zip((np.zeros_like(image), image), generators, strict=True))
    assert page.shape == (*photographs.SIZE, 3)
    assert 0.001 < (np.abs(page - blank).max(2) > 20).mean() < 0.2


def test_last_line_is_json_with_a_row_for_each_hardship(capsys, released, mnist_root):
    photographs.main(["--count", "2", "--models", str(released), "--data", str(mnist_root)])
    right = json.loads(capsys.readouterr().out.splitlines()[-1])["right"]
    assert list(right) == [hardship.__name__ for hardship in photographs.HARDSHIPS]
    assert right["photograph"][0] == 1.0 and all(0 <= share <= 1 for shares in right.values() for share in shares)
