import csv

import numpy as np
import pytest
from PIL import Image

from tests.conftest import draw
from training.measure.numbers import distance, measure


@pytest.mark.parametrize("one, other, expected", [("", "", 0), ("17", "", 2), ("1969", "1969", 0), ("10", "70", 1)])
def test_distance_counts_characters(one, other, expected):
    assert distance(one, other) == distance(other, one) == expected
    assert distance(f"4{one}2", f"4{other}") == expected + 1


def test_lines_and_pages_are_counted_apart(released, tmp_path):
    page = np.concatenate([draw("33", (200, 400)), draw("33", (200, 400))])
    rows = [("a.png", "33", draw("33", (200, 400))), ("b.png", "34", draw("33", (200, 400)))]
    rows += [("c.png", "33|33", page), ("d.png", "3", draw("3")), ("e.png", "12", np.full((60, 60), 255, np.uint8))]
    with open(tmp_path / "index.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("path", "truth"))
        lines.writerows(row[:2] for row in rows)
    for path, _, picture in rows:
        Image.fromarray(picture).save(tmp_path / path)
    assert measure(tmp_path, released) == {
        "lines": 3,
        "lines_exact": pytest.approx(1 / 3),
        "line_character_errors": pytest.approx(3 / 6),
        "pages": 1,
        "pages_exact": 1,
        "page_character_errors": 0,
    }


def test_a_folder_without_numbers_has_no_figures(released, tmp_path):
    assert measure(tmp_path, released) is None
