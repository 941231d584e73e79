import csv

import numpy as np
import pytest
from PIL import Image

from service.recogniser import Recogniser
from tests.conftest import draw
from training.measure.folder import distance, labelled, measure_digits, measure_numbers


def write(folder, rows):
    """An index.csv and its pictures: what the second column says, or the fourth if it is not None."""
    with open(folder / "index.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("path", "truth", "kind", "cropped_by_author", "writer"))
        lines.writerows((path, truth, kind, cropped, writer) for path, truth, kind, cropped, writer, _ in rows)
    for path, truth, *_, picture in rows:
        Image.fromarray(draw(truth or "x") if picture is None else picture).save(folder / path)
    return folder


BLANK = np.full((60, 60), 255, np.uint8)
ROWS = [
    ("a.png", "7", "photo", "0", "ann", None),
    ("b.png", "7", "photo", "1", "bob", None),
    ("c.png", "3", "scan", "", "bob", None),
    ("number.png", "73", "scan", "", "bob", None),
    ("cross.png", "", "greek_alpha", "", "ann", None),
    ("letter.png", "", "letter lookalike", "", "ann", None),
    ("blank.png", "1", "scan", "", "cid", BLANK),
    ("nothing.png", "", "paper", "", "cid", BLANK),
]


def test_an_index_gives_truths_kinds_and_writers(tmp_path):
    found = labelled(write(tmp_path, ROWS))
    assert [one.truth for one in found] == ["7", "7", "3", "73", "", "1", ""]  # without the look-alike
    assert [one.kind for one in found][:3] == ["photo", "photo, cropped", "scan"]
    assert [one.writer for one in found] == ["ann", "bob", "bob", "bob", "ann", "cid", "cid"]


def test_digits_are_measured_by_what_the_service_answers(tmp_path, small_models):
    """The small models read a 7 in whatever has ink; what has none counts as a wrong digit or a refused non-digit."""
    folder = tmp_path / "folder"
    folder.mkdir()
    recogniser = Recogniser(small_models, "cpu")
    found = measure_digits(recogniser, labelled(write(folder, ROWS)), "cnn")
    assert (found["digits"], found["others"]) == (4, 2)
    assert found["accuracy"] == 2 / 4 and found["digits_refused"] == pytest.approx(1 / 4)
    assert found["right_by_writer"] == {"ann": [1, 1], "bob": [1, 2], "cid": [0, 1]}
    assert found["mean_over_writers"] == 0.5
    assert found["right_by_kind"] == {"photo": [1, 1], "photo, cropped": [1, 1], "scan": [0, 2]}
    accepted = recogniser.predict(folder / "cross.png", "cnn").accepted
    assert found["others_refused"] == (0.5 if accepted else 1)
    assert measure_digits(recogniser, [one for one in labelled(folder) if one.truth == "73"]) is None


def test_folders_named_by_digit_need_no_index(tmp_path):
    for name in ("0", "9", "other"):
        (tmp_path / name).mkdir()
        Image.fromarray(draw(name[:1])).save(tmp_path / name / "one.png")
    (tmp_path / "0" / "notes.txt").write_text("no image")
    assert [one.truth for one in labelled(tmp_path)] == ["0", "9", ""]


@pytest.mark.parametrize("one, other, expected", [("", "", 0), ("17", "", 2), ("1969", "1969", 0), ("10", "70", 1)])
def test_distance_counts_characters(one, other, expected):
    assert distance(one, other) == distance(other, one) == expected
    assert distance(f"4{one}2", f"4{other}") == expected + 1


def test_lines_and_pages_are_counted_apart(released, tmp_path):
    page = np.concatenate([draw("33", (200, 400)), draw("33", (200, 400))])
    rows = [("a.png", "33", draw("33", (200, 400))), ("b.png", "34", draw("33", (200, 400)))]
    rows += [("c.png", "33|33", page), ("d.png", "3", draw("3")), ("e.png", "12", BLANK)]
    pictures = labelled(write(tmp_path, [(path, truth, "", "", "", picture) for path, truth, picture in rows]))
    recogniser = Recogniser(released, "cpu")
    assert measure_numbers(recogniser, pictures) == {
        "lines": 3,
        "lines_exact": pytest.approx(1 / 3),
        "line_character_errors": pytest.approx(3 / 6),
        "pages": 1,
        "pages_exact": 1,
        "page_character_errors": 0,
    }
    assert measure_numbers(recogniser, [one for one in pictures if one.truth == "3"]) is None
