import pytest

from benchmarks.ocr import measure


def test_what_is_read_exactly_and_the_wrong_characters_are_counted():
    said = {b"a": "12", b"b": "3", b"c": ""}
    row = measure(said.__getitem__, [(b"a", "12"), (b"b", "34"), (b"c", "5")])
    assert row == {"n": 3, "exact": pytest.approx(1 / 3), "character_errors": pytest.approx(2 / 5)}
