"""Sets that hold no digits: which of their kinds are trained on, and which are held out."""

import numpy as np
import pytest

from training.data import drawings, glyphs
from training.data.writers import SPLITS
from training.recipe import NONE

DRAWN = drawings.symbols, drawings.doodles, drawings.gestures
GLYPHS = glyphs.typed, glyphs.letters, glyphs.doodles


@pytest.mark.parametrize("load", [*DRAWN, *GLYPHS])
def test_every_split_is_drawn_and_no_drawing_is_in_two(small_writers, load):
    found = {split: load(split, small_writers) for split in SPLITS}
    for source in found.values():
        images = source.draw(np.arange(len(source)), np.random.default_rng(0))
        assert images.shape == (len(source), 28, 28) and (images.max((1, 2)) > 200).all()
        assert (source.labels == NONE).all() and len(source) > 0
    writers = [set(source.writers.tolist()) for source in found.values()]
    assert not (writers[0] & writers[1] or writers[0] & writers[2] or writers[1] & writers[2])
    assert len(found["train"]) > 0.6 * sum(map(len, found.values()))


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
