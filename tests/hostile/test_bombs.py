"""Hostile uploads of every kind are read or refused in a sentence; benchmarks.hostile measures their cost."""

import numpy as np
import pytest

from service.picture.decode import grey_from_upload
from service.picture.errors import InvalidImage
from tests.hostile import bombs

MAKERS = [maker for makers in bombs.MAKERS.values() for maker in makers]


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_hostile_upload_is_read_or_refused_in_a_sentence(maker, monkeypatch):
    monkeypatch.setattr(bombs, "BODY", 300_000)
    monkeypatch.setattr(bombs, "SIDE", 400)
    for number in range(3):
        try:
            picture, _ = grey_from_upload(maker(np.random.default_rng([7, number])), 200_000_000)
        except InvalidImage as error:
            assert str(error).endswith(".") and "\n" not in str(error)
        else:
            assert picture.size <= 1_024**2
