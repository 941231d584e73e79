"""Hostile uploads of every kind are read or refused in a sentence; the benchmark measures their cost."""

import numpy as np
import pytest

from benchmarks import bombs, illustrate
from benchmarks.hostile import look

MAKERS = [maker for makers in bombs.MAKERS.values() for maker in makers]


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_hostile_upload_is_read_or_refused_in_a_sentence(maker, monkeypatch):
    monkeypatch.setattr(bombs, "BODY", 300_000)
    monkeypatch.setattr(bombs, "SIDE", 400)
    for number in range(3):
        answer = look(maker(np.random.default_rng([7, number])))
        assert answer == "read" or answer.endswith(".")


def test_a_table_is_put_between_its_marks_again_and_again():
    text = "a\n<!-- t -->\n<!-- /t -->\nb\n"
    once = illustrate.fill(text, "t", "| x |")
    assert once == "a\n<!-- t -->\n| x |\n<!-- /t -->\nb\n"
    assert illustrate.fill(once, "t", "| x |") == once
