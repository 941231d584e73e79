import re

import numpy as np
import pytest

from service.reading.line import CHARACTERS, HEIGHT, OTHER
from training.scenes import hands, lines, texts, writing
from training.scenes.hands import Hand, Signs
from training.scenes.lines import Composer


@pytest.fixture(scope="module")
def signs(small_mnist, small_writers):
    return Signs.load("train", small_mnist, small_writers)


@pytest.fixture(scope="module")
def composer(signs):
    return Composer(signs, np.random.default_rng(0))


@pytest.fixture
def plain(monkeypatch):
    """No turned, ringed, underlined or crossed-out lines."""
    monkeypatch.setattr(lines, "TURNED", 0)
    for name in ("RING", "UNDERLINE", "CROSSED"):
        monkeypatch.setattr(writing, name, 0)


def test_the_same_seed_makes_the_same_lines_and_another_seed_others(composer):
    one, again, other = (composer.lines(20, [seed]) for seed in (1, 1, 2))
    assert [line.text for line in one] == [line.text for line in again]
    assert all((a.grey == b.grey).all() for a, b in zip(one, again, strict=True))
    assert [line.text for line in one] != [line.text for line in other]


def test_a_line_is_grey_of_one_height_with_a_text_of_known_characters(composer):
    made = composer.lines(200, [0])
    for line in made:
        assert line.grey.dtype == np.uint8 and line.grey.shape[0] == HEIGHT and line.grey.shape[1] >= 8
        assert set(line.text) <= set(CHARACTERS)
    said = "".join(line.text for line in made)
    assert set("0123456789./-") <= set(said) and OTHER in said
    assert any(line.text == "" for line in made)


def test_digits_and_signs_keep_their_order_and_a_word_is_one_other_mark(composer, plain):
    wanted = {"-12.5": "-12.5", "24/12/2026": "24/12/2026", "12a": "12?", "kork 12": "?12", "12 34": "1234"}
    for text, label in wanted.items():
        assert re.sub(r"\?+", OTHER, composer.line(text).text) == label  # letters far apart are several


def test_what_is_crossed_out_or_upside_down_is_no_digit(composer, plain, monkeypatch):
    monkeypatch.setattr(writing, "CROSSED", 1)
    assert composer.line("123").text == OTHER
    monkeypatch.setattr(writing, "CROSSED", 0)
    monkeypatch.setattr(lines, "TURNED", 1)
    assert composer.line("374").text == OTHER


def test_joined_zeros_are_as_many_as_written(composer, plain, monkeypatch):
    monkeypatch.setattr(writing, "JOINED_ZEROS", 1)
    monkeypatch.setattr(hands, "TYPED", 0)
    assert [composer.line("100000").text for _ in range(5)] == ["100000"] * 5


def test_writers_of_one_split_write_a_line(small_mnist, small_writers):
    train, test = (Signs.load(split, small_mnist, small_writers) for split in ("train", "test"))
    people = [set(one.strokes.writer[one.rows["K"]]) for one in (train, test)]
    assert people[0] and people[1] and not people[0] & people[1]


def test_a_sign_is_smaller_than_a_digit_where_it_should_be(signs):
    generator = np.random.default_rng(0)
    for _ in range(20):
        hand = Hand(signs, generator)
        point, middle = hand.draw(".", 40.0)
        assert point.shape[0] < 30 and middle > 0.7


def test_texts_have_at_most_their_length_and_no_space_around():
    generator = np.random.default_rng(0)
    made = [texts.text(generator) for _ in range(500)]
    assert all(len(text) <= 2 * texts.LONGEST and text == text.strip() for text in made)
    assert any(" " in text for text in made)
