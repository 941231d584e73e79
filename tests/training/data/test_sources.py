"""The other writers: their splits, what is left out, and how their strokes are drawn."""

import numpy as np
import pytest
import torch

from service.picture.framing import frame
from training.data import doodles, drawings, glyphs, omniglot, optdigits, uji, unipen, writers
from training.data.batches import LOAD, Batches, counts
from training.data.lookalikes import OMNIGLOT, UNIPEN
from training.data.strokes import MARGIN, SIDE, Strokes, draw
from training.recipe import NONE, Sources

CPU = torch.device("cpu")


FOREIGN = drawings.symbols, drawings.doodles, drawings.gestures, glyphs.typed, glyphs.letters, glyphs.doodles
ANONYMOUS = LOAD["optdigits"], LOAD["doodles"]  # whose writers have no numbers


@pytest.mark.parametrize("load", [*LOAD.values(), *FOREIGN])
def test_every_source_draws_images_of_every_split_and_no_writer_is_in_two(small_writers, load):
    found = {split: load(split, small_writers) for split in writers.SPLITS}
    for source in found.values():
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and images.dtype == np.uint8
        assert len(source) == len(source.labels) == len(source.kinds) == len(source.writers) > 0
        assert (images.max((1, 2)) > 200).all()
        assert load not in FOREIGN or (source.labels == NONE).all()
    if load not in ANONYMOUS:
        seen = [set(source.writers.tolist()) for source in found.values()]
        assert len(set().union(*seen)) == sum(map(len, seen)) > 0
    if load in FOREIGN:
        assert len(found["train"]) > 0.6 * sum(map(len, found.values()))


def test_a_writer_is_in_the_same_split_with_digits_and_letters(small_writers):
    for split in writers.SPLITS:
        digits, letters = unipen.digits(split, small_writers), unipen.letters(split, small_writers)
        assert set(digits.writers.tolist()) == set(letters.writers.tolist())


def test_70_15_15_of_the_writers_of_each_collection():
    collections = np.repeat(["a", "b"], 100)
    splits = writers.split_of(np.arange(200), collections)
    for collection in "ab":
        found = {split: (splits[collections == collection] == split).sum() for split in writers.SPLITS}
        assert found == {"train": 70, "validation": 15, "test": 15}


def test_no_writer_has_more_training_images_than_the_cap(small_writers, monkeypatch):
    monkeypatch.setattr(unipen, "DIGITS_A_WRITER", 7)
    source = unipen.digits("train", small_writers)
    assert np.unique(source.writers, return_counts=True)[1].max() == 7
    assert len(np.unique(source.kinds)) >= 7  # evenly over the digits


def test_lookalikes_and_unseen_kinds_are_never_trained_on(small_writers):
    letters, signs = unipen.letters("train", small_writers), unipen.unseen_signs(small_writers)
    assert set(letters.kinds) == {"A", "K", "k", "r", "*"}  # O, o and | are look-alikes
    assert set(signs.kinds) == {"+"} and (letters.labels == NONE).all()
    characters, alphabets = omniglot.letters("train", small_writers), omniglot.unseen_alphabets(small_writers)
    assert set(characters.kinds) == {"Greek/1", "Tagalog/1", "Tagalog/2"}
    assert set(alphabets.kinds) == {"Balinese/1", "Balinese/2"}
    assert not UNIPEN & unipen.UNSEEN and {"Greek/15", "Latin/12"} <= OMNIGLOT


def test_lookalikes_are_nowhere_and_kinds_that_are_held_out_only_among_the_unseen(small_writers):
    kinds = {name: set(getattr(drawings, name)("train", small_writers).kinds) for name in ("symbols", "doodles")}
    # A theta is a 0. A soft sign looks like a 6, but is to be refused.
    assert kinds["symbols"] == {"latex2e:alpha", "upgreek:upalpha", "marvosym:Heart", "tipa:textsoftsign"}
    assert kinds["doodles"] == {"cat", "smiley face"}
    assert set(drawings.gestures("train", small_writers).kinds) == {"arrow"}
    assert set(drawings.unseen_symbols(small_writers).kinds) == {"latex2e:hash"}
    assert set(drawings.unseen_doodles(small_writers).kinds) == {"tiger"}
    assert set(drawings.unseen_gestures(small_writers).kinds) == {"pigtail"}


def test_unseen_typefaces_and_signs_are_typed_only_among_the_unseen(small_writers):
    assert set(glyphs.typed("train", small_writers).kinds) == {"A", "?"}
    unseen = glyphs.unseen_typed(small_writers)
    assert set(unseen.kinds) == {"A", "?", "#"} and len(unseen) == 75 + 25


def test_slashed_zeros_are_those_in_two_strokes(small_writers):
    source = unipen.digits("test", small_writers)
    assert (source.kinds == unipen.SLASHED).sum() == (source.kinds == "0").sum() > 0


def test_optdigits_ones_are_narrower_than_the_rest(small_writers):
    source = optdigits.digits("test", small_writers)
    images = source.draw(np.arange(len(source)), np.random.default_rng(0))
    width = (images > 127).any(1).sum(1)
    assert width[source.labels == 1].max() < width[source.labels != 1].min()


def test_strokes_are_framed_by_the_services_own_code(monkeypatch):
    """What the drawing puts on its canvas goes through service.picture.framing.frame, pixel for pixel."""
    seen = []

    def watch(ink, mask):
        seen.append((ink.copy(), mask.copy()))
        return frame(ink, mask)

    monkeypatch.setattr("training.data.strokes.frame", watch)
    points = np.array([[0, 0], [255, 255], [255, 0]], np.uint8)
    strokes = Strokes(points, np.array([0, 2, 3]), np.array([0, 2]), np.array(["x"]), np.array([0]), np.array([""]))
    (image,) = draw(strokes, np.array([0]), np.random.default_rng(0))
    ((ink, mask),) = seen
    assert (image == frame(ink, mask)[0]).all()
    assert max(ink.shape) >= SIDE + 2 * MARGIN and ink.max() == 255


def test_a_dot_is_drawn():
    strokes = Strokes(
        np.array([[9, 9]], np.uint8), np.array([0, 1]), np.array([0, 1]), np.array(["."]), np.array([0]), np.array([""])
    )
    assert draw(strokes, np.array([0]), np.random.default_rng(0)).max() == 255


def test_each_drawing_differs_and_the_same_seed_repeats_it(small_writers):
    source = uji.digits("train", small_writers)
    rows = np.zeros(20, int)
    first = source.draw(rows, np.random.default_rng(0))
    assert len(np.unique(first.reshape(20, -1), axis=0)) == 20
    assert (first == source.draw(rows, np.random.default_rng(0))).all()


def test_joining_keeps_the_strokes_of_each_part(small_writers):
    parts = [Strokes.load(small_writers / "unipen" / f"{part}.npz") for part in ("upper", "lower")]
    joined, n = Strokes.joined(parts), len(parts[0])
    assert len(joined) == n + len(parts[1])
    one = draw(joined, np.array([n + 3]), np.random.default_rng(0))
    assert (one == draw(parts[1], np.array([3]), np.random.default_rng(0))).all()


def test_a_batch_has_each_source_by_its_share(small_mnist, small_writers):
    shares = Sources()
    found = counts(shares, 100)
    assert found == {"mnist": 52, "unipen": 14, "uji": 2, "optdigits": 4, "letters": 20, "omniglot": 6, "doodles": 2}
    batches = Batches(shares, 100, CPU, small_mnist, small_writers)
    epoch = [batches.batch(0, 1, step) for step in range(batches.steps)]
    assert len(epoch) == batches.steps == 5
    for images, labels in epoch:
        assert images.shape == (100, 1, 28, 28) and images.dtype == torch.uint8
        assert (labels == NONE).sum() == 28
    again = [batches.batch(0, 1, step) for step in range(batches.steps)]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(epoch, again, strict=True))
    other = batches.batch(0, 2, 0)
    assert not torch.equal(epoch[0][0], other[0])


def test_shares_that_do_not_sum_to_1_are_refused():
    with pytest.raises(ValueError, match="must sum to 1"):
        counts(Sources(mnist=0.9), 100)


def test_missing_data_gives_one_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match="digits.npz is missing. Fetch it with: make data, "):
        uji.digits("train", tmp_path)
    with pytest.raises(ValueError, match="Unknown split 'dev'; known splits: train, validation, test."):
        doodles.drawings("dev", tmp_path)
