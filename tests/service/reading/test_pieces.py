from itertools import pairwise

import cv2
import numpy as np
import pytest

from service.picture.errors import InvalidImage
from service.reading.pieces import MOST, Piece, common_height, framed, gap, hull, lines_of, pieces_of, share_out
from tests.conftest import draw


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
    pieces = pieces_of(bars((120, 120), (20, 25), (20, 110), (120, 10)))
    lines = lines_of(pieces, 57)
    assert [[piece.box[:2].tolist() for piece in part] for (part,) in lines] == [
        [[17, 22], [117, 7]],
        [[17, 107], [117, 117]],
    ]


def shares(ink, columns, height=57):
    """Of the only line of ink (H, W) uint8: the boxes of the pieces of each character in the middle of `columns`."""
    pieces = pieces_of(ink)
    ((part,),) = lines_of(pieces, height)
    return [[piece.box.tolist() for piece in own] for own in share_out(part, columns, ink, height)]


def test_columns_stand_further_apart_than_numbers():
    (line,) = lines_of(pieces_of(bars((20, 20), (100, 20), (280, 20), size=(100, 400))), 57)
    assert [[piece.box[0] for piece in part] for part in line] == [[17, 97], [277]]


def test_each_character_has_the_pieces_that_it_stands_over_or_that_are_near():
    ink = bars((20, 20), (100, 20))
    cv2.line(ink, (62, 25), (75, 25), 255, 5)  # the arm of a 5
    first, second = shares(ink, [35, 115])
    assert len(first) == 2 and second == [[97, 17, 134, 74]]


def test_a_stroke_under_whole_characters_belongs_to_none():
    ink = bars((20, 20), (100, 20))
    cv2.line(ink, (10, 90), (150, 90), 255, 5)
    assert [len(own) for own in shares(ink, [35, 115])] == [1, 1]


def test_what_touches_is_cut_between_its_characters_where_there_is_least_ink():
    ink = 255 * np.uint8(draw("0000", (120, 400), 3.0, 8) < 128)
    ink[60:62, 40:360] = 255
    columns = np.flatnonzero(ink.sum(0) > 2 * 255)
    middles = [part.mean() for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)]
    boxes = shares(ink, middles, 80)
    assert len(boxes) == 4 and [len(own) for own in boxes] == [1] * 4
    for ((_, _, end, _),), ((start, _, _, _),) in pairwise(boxes):
        assert ink[:, start].sum() == 2 * 255 and end == start


def test_characters_that_stand_over_nothing_have_no_pieces():
    assert shares(bars((20, 20)), [35, 250]) == [[[17, 17, 54, 74]], []]
    assert shares(bars((20, 20)), []) == []


def test_a_hairline_is_framed():
    mask = np.ones((1000, 1), bool)
    piece = Piece(box=np.array([0, 0, 1, 1000]), mask=mask)
    assert framed(np.full((1000, 1), 200, np.uint8), [piece]).max() == 255
