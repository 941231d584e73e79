"""What is made of digits and photographs: marred digits, digits in other styles, pictures as the models see them."""

import numpy as np
import pytest

from service.picture.framing import INK_SIZE, is_framed
from tests.conftest import RELEASED
from training.data import things
from training.data.writers import SPLITS
from training.recipe import NONE
from training.scenes import marred, seen


def test_marred_digits_are_framed_and_of_every_kind(small_mnist, small_writers):
    source = marred.pictures("train", small_mnist, small_writers)
    images = source.draw(np.arange(120), np.random.default_rng(0))
    assert set(source.kinds) >= {"ringed", "struck", "several", "invented"} and (source.labels == NONE).all()
    for image in images:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == INK_SIZE
    again = source.draw(np.arange(120), np.random.default_rng(0))
    assert (again == images).all() and len(np.unique(images.reshape(120, -1), axis=0)) > 110


@pytest.mark.parametrize(("digit", "grows"), [("0", "inside"), ("1", "wider"), ("7", "wider")])
def test_styles_add_ink_to_mnists_digits(small_mnist, digit, grows):
    source = marred.styled("train", small_mnist)
    rows = np.flatnonzero(source.kinds == digit)[:20]
    images = source.draw(rows, np.random.default_rng(0))
    plain = marred.styled("train", small_mnist)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marred, "_with_style", lambda ink, digit, generator: ink)
        bare = plain.draw(rows, np.random.default_rng(0))
    if grows == "wider":
        assert np.mean((images > 127).any(1).sum(1)) > np.mean((bare > 127).any(1).sum(1))
    else:
        assert np.mean(images[:, 12:16, 12:16]) > np.mean(bare[:, 12:16, 12:16])


def test_typed_digits_are_labelled(small_mnist):
    source = marred.styled("train", small_mnist)
    typed = np.flatnonzero(source.kinds == "typed")
    assert set(source.labels[typed]) == set(range(10))
    assert all(is_framed(image) for image in source.draw(typed[:10], np.random.default_rng(0)))


def test_photographs_are_split_by_what_they_show(small_writers):
    splits = {things.split_of(f"glass/glass{number}.jpg") for number in range(50, 75)}
    assert len(splits) == 1 and things.split_of("wallpaper/sunset-3.jpg") == "validation"
    found = [len(things.photographs(split, small_writers)) for split in SPLITS]
    assert sum(found) == 45 and found[0] > found[1] > 0 and found[2] > 0


def test_what_is_seen_of_pictures_is_made_once(small_mnist, small_writers, tmp_path, monkeypatch):
    monkeypatch.setattr(seen, "COUNTS", {"photograph": 6, "texture": 6, "drawn": 6, "digit": 12})
    monkeypatch.setattr(seen, "HELD_OUT", 1.0)
    monkeypatch.setattr(seen, "FOLDER", tmp_path)
    assert seen.make(RELEASED, small_mnist, small_writers)
    assert not seen.make(RELEASED, small_mnist, small_writers)
    for split in SPLITS:
        source = seen.load(split)
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and images.dtype == np.uint8
        assert ((source.labels == NONE) == (source.kinds != "digit")).all()


def test_an_upright_stroke_is_not_taken_for_a_picture_without_a_digit():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 13:15] = 255
    assert seen.is_upright_stroke(image) and not seen.is_upright_stroke(image.T)
    image[10:14, 5:23] = 255
    assert not seen.is_upright_stroke(image)
