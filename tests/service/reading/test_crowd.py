import numpy as np
import pytest

from service.inference.predictor import Predictor
from service.picture.digit import Crowd, canonicalise
from service.reading.crowd import LONGEST, count_digits
from tests.conftest import draw


class Detector:
    """Is `sure` of as many digits, and remembers what it was shown."""

    def __init__(self, *sure):
        self.scores = np.zeros((1, len(sure), 10), np.float32)
        self.scores[0, :, 3] = sure

    def detect(self, pages):
        self.shape = pages.shape
        return np.zeros((1, self.scores.shape[1], 4), np.float32), self.scores


@pytest.mark.parametrize("sure, count", [((), 1), ((0.2,), 1), ((0.9, 0.2, 0.7), 2)])
def test_what_the_detector_is_sure_of_counts_and_one_digit_is_there_anyway(sure, count):
    assert count_digits(Crowd(ink=np.zeros((128, 256), np.uint8), height=56), Detector(*sure)) == count


def test_digits_are_shown_as_high_as_the_detector_learnt_them_and_no_page_is_large():
    detector = Detector()
    count_digits(Crowd(ink=np.zeros((128, 256), np.uint8), height=56), detector)
    assert detector.shape == (1, 1, 64, 128)
    count_digits(Crowd(ink=np.zeros((100, 256), np.uint8), height=3), detector)
    assert max(detector.shape) == LONGEST


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=1)


@pytest.mark.parametrize("number", ["83", "196"])
def test_typed_digits_are_counted(predictor, number):
    crowd = canonicalise(draw(number, (200, 500)), predictor.finder).crowd
    assert crowd is not None and count_digits(crowd, predictor) == len(number)
