import cv2
import numpy as np
import pytest

from service.picture.errors import InvalidImage, TooMuchWork
from service.reading import looks
from service.reading.looks import Looks
from service.reading.pieces import MOST, Piece, common_height, cut, framed, gap, hull, lines_of, pieces_of
from tests.conftest import draw


class Detector:
    """Sees a digit in the middle of each of `boxes`, in pixels of the page it is shown."""

    def __init__(self, *boxes):
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def detect(self, pages):
        return self.boxes[None], np.ones((1, len(self.boxes), 10), np.float32)


def bars(*corners, size=(200, 300)):
    """Ink (H, W) uint8: a frame of a pen five pixels wide at each (x, y), 30 wide and 50 high."""
    ink = np.zeros(size, np.uint8)
    for x, y in corners:
        cv2.rectangle(ink, (x, y), (x + 30, y + 50), 1, 5)
    return ink * np.uint8(255)


def test_connected_ink_is_one_piece():
    pieces = pieces_of(bars((20, 20), (100, 20)))
    assert sorted(piece.box.tolist() for piece in pieces) == [[17, 17, 54, 74], [97, 17, 134, 74]]
    assert hull(pieces).tolist() == [17, 17, 134, 74]
    assert gap(*pieces) == 43
    assert common_height(pieces) == 57


def test_a_thin_foot_is_kept():
    ink = bars((40, 20), (120, 20))
    ink[80:82, 35:75] = 255
    assert len(pieces_of(ink)) == 3


def test_what_is_left_of_a_printed_box_is_much_thinner_than_the_strokes():
    ink = np.zeros((200, 300), np.uint8)
    cv2.rectangle(ink, (40, 40), (80, 120), 255, 15)
    ink[30:130, 120] = 255
    assert len(pieces_of(ink)) == 1


def test_only_so_many_pieces_are_looked_at():
    ink = np.zeros((1000, 1000), np.uint8)
    ink[5::20, 5::20] = ink[6::20, 5::20] = ink[7::20, 5::20] = 255
    with pytest.raises(InvalidImage, match=f"more than {MOST} marks"):
        pieces_of(ink)
    ink[:700] = 0
    ink[:700, 300:310] = 255
    assert len(pieces_of(ink)) <= MOST < 700


def test_lines_are_read_from_above_and_from_the_left():
    pieces = pieces_of(bars((150, 120), (20, 25), (20, 110), (150, 10)))
    lines = lines_of(pieces, 57)
    assert [[piece.box[:2].tolist() for piece in line] for line in lines] == [
        [[17, 22], [147, 7]],
        [[17, 107], [147, 117]],
    ]


ONE = Detector((14, 14, 30, 42))  # sees a digit at the left end of a piece


def cut_one(ink, detector=ONE):
    """The parts that the only piece of ink (H, W) uint8 is cut into."""
    pieces = pieces_of(ink)
    (line,) = cut(lines_of(pieces, 57), pieces, ink, 57, Looks(detector, [], None))
    return line


def test_a_piece_in_which_the_detector_sees_no_digit_is_not_cut():
    """Bug: parts of an m were read as 1 and 7."""
    ink = np.zeros((120, 200), np.uint8)
    for x in (60, 90, 120):
        cv2.line(ink, (x, 90), (x, 20), 255, 7)
    cv2.line(ink, (60, 20), (120, 20), 255, 3)
    assert len(cut_one(ink)) == 3
    assert len(cut_one(ink, Detector())) == 1


@pytest.mark.parametrize(
    "detector, parts",
    [
        (Detector(), 1),
        (ONE, 1),  # a block has no place with less ink than beside it
        (Detector((14, 14, 28, 42), (28, 14, 44, 42)), 2),
    ],
)
def test_a_piece_is_cut_where_the_detector_sees_two_digits(detector, parts):
    ink = np.zeros((100, 100), np.uint8)
    ink[17:74, 17:80] = 255
    line = cut_one(ink, detector)
    assert len(line) == parts
    assert sum(piece.mask.sum() for piece in line) == (ink > 0).sum()


def test_what_touches_is_cut_where_there_is_least_ink():
    ink = 255 * np.uint8(draw("0000", (120, 400), 3.0, 8) < 128)
    ink[60:62, 40:360] = 255
    line = cut_one(ink)
    assert len({piece.part for piece in line}) == 1
    assert [piece.first for piece in line] == [True] + [False] * (len(line) - 1)
    assert [piece.last for piece in line] == [False] * (len(line) - 1) + [True]
    assert sum(piece.mask.sum() for piece in line) == (ink > 0).sum()
    gaps = np.flatnonzero((ink > 0).sum(0) == 2)  # columns that hold the bar alone
    gaps = np.split(gaps, np.flatnonzero(np.diff(gaps) > 1) + 1)[1:-1]
    assert len(gaps) == 3 and all(any(piece.box[0] - 1 in columns for piece in line) for columns in gaps)


def test_a_seam_follows_slanted_strokes():
    ink = np.zeros((120, 200), np.uint8)
    for x in (60, 90, 120):
        cv2.line(ink, (x, 90), (x + 40, 20), 255, 7)  # each overhangs the next
    cv2.line(ink, (70, 75), (128, 75), 255, 3)
    line = cut_one(ink)
    assert len(line) == 3
    for piece in line:
        assert piece.height >= 60 and piece.mask.sum(1).max() <= 40  # a whole stroke and its piece of the bar


def test_only_so_much_is_cut(monkeypatch):
    ink = np.zeros((1000, 1000), np.uint8)
    for y in range(20, 980, 60):
        cv2.polylines(ink, [np.array([[x, y + 40 * (x // 10 % 2)] for x in range(20, 320, 10)])], False, 255, 3)
    pieces = pieces_of(ink)
    assert len(pieces) == 16
    monkeypatch.setattr(looks, "MOST", 16 * looks.DETECTION)
    assert sum(map(len, cut(lines_of(pieces, 40), pieces, ink, 40, Looks(ONE, [], None)))) > 100
    monkeypatch.setattr(looks, "MOST", 15 * looks.DETECTION)
    with pytest.raises(TooMuchWork, match="more than 30 looks"):
        cut(lines_of(pieces, 40), pieces, ink, 40, Looks(ONE, [], None))


def test_a_piece_wider_than_any_number_is_not_shown_to_the_detector():
    """Bug: a dash of 1,000 pixels was enlarged to 9,000 for it."""
    ink = np.zeros((200, 1000), np.uint8)
    ink[100:103, 10:990] = 255
    pieces = pieces_of(ink)
    (line,) = cut(lines_of(pieces, 3), pieces, ink, 3, Looks(None, [], None))
    assert len(line) == 1


def test_a_hairline_is_framed():
    mask = np.ones((1000, 1), bool)
    piece = Piece(part=1, box=np.array([0, 0, 1, 1000]), mask=mask)
    assert framed(np.full((1000, 1), 200, np.uint8), [piece]).max() == 255
