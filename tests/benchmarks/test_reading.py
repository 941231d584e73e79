import json

import numpy as np

from benchmarks import reading
from benchmarks.photographs import SIZE


def test_a_page_shows_its_digits_in_rows():
    images = np.zeros((reading.ROWS * reading.COLUMNS, 28, 28), np.uint8)
    images[:, 4:24, 12:16] = 255
    page = reading.page(images, np.random.default_rng(0))
    assert page.shape == (*SIZE, 3)
    blank = reading.page(np.zeros_like(images), np.random.default_rng(0))
    rows = (np.abs(page - blank).max(2) > 40).any(1)
    assert int((np.diff(rows.astype(int)) == 1).sum()) == reading.ROWS


def test_last_line_is_json_with_a_row_for_each_kind(capsys, released, mnist_root):
    reading.main(["--count", "1", "--models", str(released), "--data", str(mnist_root)])
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert len(rows) == 3 and all(row["n"] == 1 and 0 < row["median_ms"] <= row["p95_ms"] for row in rows.values())
