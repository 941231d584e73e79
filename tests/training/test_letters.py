import numpy as np

from service.image import is_framed
from training.letters import LETTERS, letters


def test_letters_are_framed_as_uploads_are():
    images = letters()
    assert images.dtype == np.uint8 and images.shape[1:] == (28, 28)
    assert len(images) >= 8 * len(LETTERS)  # most fonts have most of them, with two pens each
    assert np.mean([is_framed(image) for image in images]) > 0.95  # of an upright letter's mass some is far out


def test_two_pens_differ_and_no_letter_is_in_pieces_of_dust():
    thin, thick = letters()[::2].astype(float), letters()[1::2].astype(float)
    assert thick.mean() > 1.1 * thin.mean()
    assert thin.sum((1, 2)).min() > 20 * 255  # a stroke of 20 pixels at least


def test_no_digit_is_among_them():
    assert not set("0123456789OIlZSbgqTy") & set(LETTERS) and len(set(LETTERS)) == len(LETTERS)
