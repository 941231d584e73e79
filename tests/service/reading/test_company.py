"""Marks are known by the company they keep."""

from dataclasses import replace

import numpy as np

from tests.service.reading.typed import Matcher, page, read_page, text


def test_what_is_no_digit_is_marked(matcher, finder):
    readings = read_page(page("1X9"), matcher, finder)
    assert [reading.accepted for reading in readings] == [True, False, True]
    assert text(readings) == ["19"]


def test_a_word_of_letters_holds_no_digit_but_the_number_beside_it_does(matcher, finder):
    picture = page("X1XX", "9")
    assert text(read_page(picture, matcher, finder)) == ["9"]
    apart = np.concatenate([page("XX1X"), page("69")], 1)
    assert text(read_page(apart, matcher, finder)) == ["69"]


class Doubtful(Matcher):
    """Is not sure of nines."""

    def classify(self, images, names):
        super().classify(images, names)
        self.verdicts = [replace(v, reason="unsure", confidence=0.6) if v.digit == 9 else v for v in self.verdicts]
        return self


def test_what_is_doubted_alone_is_believed_beside_a_digit(finder):
    doubtful = Doubtful(finder)
    assert text(read_page(page("9"), doubtful, finder)) == []
    assert text(read_page(page("99"), doubtful, finder)) == []
    assert text(read_page(page("19"), doubtful, finder)) == ["19"]
