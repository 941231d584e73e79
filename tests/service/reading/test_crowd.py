import numpy as np
import pytest

from service.inference.predictor import Predictor
from service.picture.digit import Crowd, canonicalise
from service.reading.crowd import LONGEST, count_digits
from tests.conftest import draw


class Detector:
    """Is `sure` of as many digits, once each of several answers in turn, and remembers what it was shown."""

    def __init__(self, *answers):
        self.answers, self.shapes = answers, []

    def detect(self, pages):
        sure = self.answers[len(self.shapes) % len(self.answers)]
        self.shapes.append(pages.shape)
        scores = np.zeros((1, len(sure), 10), np.float32)
        scores[0, :, 3] = sure
        return np.zeros((1, len(sure), 4), np.float32), scores


@pytest.mark.parametrize("sure, count", [((), 1), ((0.2,), 1), ((0.9, 0.2, 0.7), 2)])
def test_what_the_detector_is_sure_of_counts_and_one_digit_is_there_anyway(sure, count):
    assert count_digits(Crowd(ink=np.zeros((128, 256), np.uint8), height=56), Detector(sure)) == count


@pytest.mark.parametrize("counts, median", [((1, 2, 2), 2), ((2, 1, 1), 1), ((3, 5, 4), 4), ((0, 0, 2), 1)])
def test_one_size_at_which_the_detector_errs_does_not_count(counts, median):
    detector = Detector(*((0.9,) * count for count in counts))
    assert count_digits(Crowd(ink=np.zeros((128, 256), np.uint8), height=56), detector) == median
    assert len(detector.shapes) == 3


def test_digits_are_shown_as_high_as_the_detector_learnt_them_and_no_page_is_large():
    detector = Detector(())
    count_digits(Crowd(ink=np.zeros((128, 256), np.uint8), height=56), detector)
    assert detector.shapes == [(1, 1, 55, 110), (1, 1, 64, 128), (1, 1, 73, 146)]
    count_digits(Crowd(ink=np.zeros((100, 256), np.uint8), height=3), detector)
    assert max(max(shape) for shape in detector.shapes) == LONGEST


@pytest.fixture(scope="module")
def predictor(released):
    return Predictor(released, "cpu", threads=1)


@pytest.mark.parametrize("number", ["42", "83", "196"])
def test_typed_digits_are_counted(predictor, number):
    crowd = canonicalise(draw(number, (200, 500)), predictor.finder).crowd
    assert crowd is not None and count_digits(crowd, predictor) == len(number)
