import cv2
import numpy as np
import pytest

from service.pieces import MOST, common_height, cut, gap, hull, lines_of, pieces_of
from service.upload import InvalidImage
from tests.conftest import draw


class Detector:
    """Sees a digit in the middle of each of `boxes`, in pixels of the page it is shown."""

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def detect(self, pages):
        return self.boxes[None], np.ones((1, len(self.boxes), 10), np.float32)


def bars(*corners, size=(200, 300)):
    """Ink (H, W) bool: a frame of a pen five pixels wide at each (x, y), 30 wide and 50 high."""
    ink = np.zeros(size, np.uint8)
    for x, y in corners:
        cv2.rectangle(ink, (x, y), (x + 30, y + 50), 1, 5)
    return ink.astype(bool)


def test_connected_ink_is_one_piece():
    pieces = pieces_of(bars((20, 20), (100, 20)))
    assert sorted(piece.box.tolist() for piece in pieces) == [[17, 17, 54, 74], [97, 17, 134, 74]]
    assert hull(pieces).tolist() == [17, 17, 134, 74]
    assert gap(*pieces) == 43
    assert common_height(pieces) == 57


def test_blot_is_no_piece():
    ink = bars((20, 20), (100, 20))
    ink[100:190, 50:250] = True
    assert len(pieces_of(ink)) == 2


def test_a_thin_foot_is_kept_and_a_long_rule_is_not():
    ink = bars((40, 20), (120, 20))
    ink[80:82, 35:75] = True
    ink[95:97, 10:190] = True
    assert sorted(int(piece.width) for piece in pieces_of(ink))[-1] == 40 and len(pieces_of(ink)) == 3


def test_only_so_many_pieces_are_looked_at():
    ink = np.zeros((1000, 1000), bool)
    ink[5::20, 5::20] = ink[6::20, 5::20] = ink[7::20, 5::20] = True
    with pytest.raises(InvalidImage, match=f"more than {MOST} marks"):
        pieces_of(ink)
    ink[:700] = False
    ink[:700, 300:310] = True
    assert len(pieces_of(ink)) <= MOST < 700


def test_lines_are_read_from_above_and_from_the_left():
    pieces = pieces_of(bars((150, 120), (20, 25), (20, 110), (150, 10)))
    lines = lines_of(pieces, 57)
    assert [[piece.box[:2].tolist() for piece in line] for line in lines] == [
        [[17, 22], [147, 7]],
        [[17, 107], [147, 117]],
    ]


@pytest.mark.parametrize(
    "detector, parts",
    [
        (Detector(), 1),  # not wide enough to be cut without a reason
        (Detector((14, 14, 30, 42)), 1),
        (Detector((14, 14, 28, 42), (28, 14, 44, 42)), 2),
    ],
)
def test_a_piece_is_cut_where_the_detector_sees_two_digits(detector, parts):
    ink = np.float32(bars((20, 20), (55, 20)))
    ink[40:45, 20:90] = 1
    lines = lines_of(pieces_of(ink > 0), 57)
    (line,) = cut(lines, ink, 57, detector)
    assert len(line) == parts
    assert sum(piece.mask.sum() for piece in line) == ink.sum()


def test_a_very_wide_piece_is_cut_where_there_is_least_ink():
    ink = np.float32(draw("0000", (120, 400), 3.0, 8) < 128)
    ink[60:62, 40:360] = 1
    (line,) = cut(lines_of(pieces_of(ink > 0), 70), ink, 70, Detector())
    assert len(line) >= 4
