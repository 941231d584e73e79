"""The other writers: their splits, what is left out, and how their strokes are drawn."""

import numpy as np
import pytest
import torch

from service.picture.framing import frame
from training.data import doodles, omniglot, optdigits, uji, unipen, writers
from training.data.batches import LOAD, Batches, counts
from training.data.lookalikes import OMNIGLOT, UNIPEN
from training.data.strokes import MARGIN, SIDE, Strokes, draw
from training.recipe import NONE, Sources

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", LOAD)
def test_every_source_draws_images_of_every_split(small_writers, name):
    for split in writers.SPLITS:
        source = LOAD[name](split, small_writers)
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and images.dtype == np.uint8
        assert len(source) == len(source.labels) == len(source.kinds) == len(source.writers) > 0
        assert (images.max((1, 2)) > 200).all()


@pytest.mark.parametrize("name", ["unipen", "uji", "letters", "omniglot"])
def test_no_writer_is_in_two_splits(small_writers, name):
    seen = [set(LOAD[name](split, small_writers).writers.tolist()) for split in writers.SPLITS]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(set().union(*seen)) == sum(map(len, seen)) > 0


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
