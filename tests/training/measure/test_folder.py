import csv

import numpy as np
import pytest
from PIL import Image

from tests.conftest import draw
from training.measure.folder import load
from training.recipe import NONE


@pytest.fixture
def indexed(tmp_path):
    rows = [
        ("a.png", "7", "photo", "0", "ann"),
        ("b.png", "7", "photo", "1", "bob"),
        ("c.png", "3", "scan", "", "bob"),
        ("number.png", "73", "scan", "", "bob"),
        ("cross.png", "", "greek_alpha", "", "ann"),
        ("letter.png", "", "letter lookalike", "", "ann"),
        ("blank.png", "1", "scan", "", "cid"),
        ("nothing.png", "", "paper", "", "cid"),
    ]
    with open(tmp_path / "index.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("path", "truth", "kind", "cropped_by_author", "writer"))
        lines.writerows(rows)
    for path, truth, *_ in rows:
        blank = path in ("blank.png", "nothing.png")
        picture = np.full((60, 60), 255, np.uint8) if blank else draw(truth or "x")
        Image.fromarray(picture).save(tmp_path / path)
    return tmp_path


def test_an_index_gives_labels_kinds_and_writers(indexed, finder):
    folder = load(indexed, finder)
    assert folder.labels.tolist() == [7, 7, 3, NONE, 1, NONE]  # the last two are refused unseen
    assert folder.images.shape == (4, 1, 28, 28)
    assert folder.kinds == ["photo", "photo, cropped", "scan", "greek_alpha", "scan", "paper"]
    assert folder.writers == ["ann", "bob", "bob", "ann", "cid", "cid"]


def test_images_refused_before_any_model_are_wrong_digits_or_refused_non_digits(indexed, finder):
    folder = load(indexed, finder)
    probabilities = np.full((4, 10), 0.02)
    probabilities[[0, 1, 2], [7, 1, 3]] = 0.82
    found = folder.figures(probabilities, threshold=0.5)
    assert (found["digits"], found["others"]) == (4, 2)
    assert found["accuracy"] == 2 / 4 and found["digits_refused"] == pytest.approx(1 / 4)
    assert found["right_by_writer"] == {"ann": [1, 1], "bob": [1, 2], "cid": [0, 1]}
    assert found["mean_over_writers"] == 0.5
    assert found["right_by_kind"] == {"photo": [1, 1], "photo, cropped": [0, 1], "scan": [1, 2]}
    assert found["others_refused"] == 1 and found["auroc"] == 1


def test_what_is_not_surely_written_is_refused(indexed, finder):
    folder = load(indexed, finder)
    probabilities = np.full((4, 10), 0.02)
    probabilities[[0, 1, 2, 3], [7, 7, 3, 1]] = 0.82
    assert folder.figures(probabilities, threshold=0.5)["others_refused"] == 1 / 2
    folder.is_sure[3] = False  # the letter
    assert folder.figures(probabilities, threshold=0.5)["others_refused"] == 1


def test_folders_named_by_digit_need_no_index(tmp_path, finder):
    for name in ("0", "9", "other"):
        (tmp_path / name).mkdir()
        Image.fromarray(draw(name[:1])).save(tmp_path / name / "one.png")
    (tmp_path / "0" / "notes.txt").write_text("no image")
    assert load(tmp_path, finder).labels.tolist() == [0, 9, NONE]


def test_a_folder_without_readable_images_is_refused(tmp_path, finder):
    (tmp_path / "0").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no readable image"):
        load(tmp_path, finder)
