"""What is no digit: which kinds are trained on, which are held out, and what is made of digits and photographs."""

import numpy as np
import pytest

from service.picture.framing import INK_SIZE, is_framed
from tests.conftest import RELEASED
from training.data import drawings, glyphs, marred, seen, unipen
from training.data.nondigits import NONE
from training.data.writers import SPLITS

DRAWN = drawings.symbols, drawings.doodles, drawings.gestures
GLYPHS = glyphs.typed, glyphs.letters, glyphs.doodles


@pytest.mark.parametrize("load", [*DRAWN, *GLYPHS])
def test_every_split_is_drawn_and_no_drawing_is_in_two(small_foreign, load):
    found = {split: load(split, small_foreign) for split in SPLITS}
    for source in found.values():
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and (images.max((1, 2)) > 200).all()
        assert (source.labels == NONE).all() and len(source) > 0
    writers = [set(source.writers.tolist()) for source in found.values()]
    assert not (writers[0] & writers[1] or writers[0] & writers[2] or writers[1] & writers[2])
    assert len(found["train"]) > 0.6 * sum(map(len, found.values()))


def test_lookalikes_are_nowhere_and_kinds_that_are_held_out_only_among_the_unseen(small_foreign):
    kinds = {name: set(getattr(drawings, name)("train", small_foreign).kinds) for name in ("symbols", "doodles")}
    # A theta is a 0. A soft sign looks like a 6, but is to be refused.
    assert kinds["symbols"] == {"latex2e:alpha", "upgreek:upalpha", "marvosym:Heart", "tipa:textsoftsign"}
    assert kinds["doodles"] == {"cat", "smiley face"}
    assert set(drawings.gestures("train", small_foreign).kinds) == {"arrow"}
    assert set(drawings.unseen_symbols(small_foreign).kinds) == {"latex2e:hash"}
    assert set(drawings.unseen_doodles(small_foreign).kinds) == {"tiger"}
    assert set(drawings.unseen_gestures(small_foreign).kinds) == {"pigtail"}


def test_unseen_typefaces_and_signs_are_typed_only_among_the_unseen(small_foreign):
    assert set(glyphs.typed("train", small_foreign).kinds) == {"A", "?"}
    unseen = glyphs.unseen_typed(small_foreign)
    assert set(unseen.kinds) == {"A", "?", "#"} and len(unseen) == 75 + 25


def test_symbols_that_several_packages_have_are_held_out_together():
    assert drawings._name("upgreek:upalpha") == drawings._name("latex2e:alpha") == "alpha"
    assert drawings._name("upgreek:Updelta") == drawings._name("latex2e:Delta") == "Delta"
    assert drawings._name("latex2e:textless") == "less"
    held_out = {unipen_sign for unipen_sign in unipen.UNSEEN if unipen_sign not in "+=?"}
    assert len(drawings.UNSEEN_SIGNS) >= len(held_out) and glyphs.UNSEEN_SIGNS == unipen.UNSEEN - {"?"}


def test_marred_digits_are_framed_and_of_every_kind(small_mnist, small_foreign):
    source = marred.pictures("train", small_mnist, small_foreign)
    images = source.draw(np.arange(120), np.random.default_rng(0))
    assert len(np.unique(source.kinds)) == len(marred.KINDS) and (source.labels == NONE).all()
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


def test_photographs_are_split_by_what_they_show(small_foreign):
    splits = {seen._split_of(f"glass/glass{number}.jpg") for number in range(50, 75)}
    assert len(splits) == 1 and seen._split_of("wallpaper/sunset-3.jpg") == "validation"
    found = [len(seen._photographs(split, small_foreign)) for split in SPLITS]
    assert sum(found) == 45 and found[0] > found[1] > 0 and found[2] > 0


def test_what_is_seen_of_pictures_is_made_once(small_mnist, small_foreign, tmp_path, monkeypatch):
    monkeypatch.setattr(seen, "COUNTS", {"photograph": 6, "texture": 6, "drawn": 6, "digit": 12})
    monkeypatch.setattr(seen, "HELD_OUT", 1.0)
    assert seen.make(RELEASED, small_mnist, small_foreign, tmp_path)
    assert not seen.make(RELEASED, small_mnist, small_foreign, tmp_path)
    monkeypatch.setattr(seen, "FOLDER", tmp_path)
    for split in SPLITS:
        source = seen.load(split, small_foreign)
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and images.dtype == np.uint8
        assert ((source.labels == NONE) == (source.kinds != "digit")).all()


def test_an_upright_stroke_is_not_taken_for_a_picture_without_a_digit():
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 13:15] = 255
    assert seen._is_upright_stroke(image) and not seen._is_upright_stroke(image.T)
    image[10:14, 5:23] = 255
    assert not seen._is_upright_stroke(image)
