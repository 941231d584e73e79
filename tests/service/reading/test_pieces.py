from itertools import pairwise

import cv2
import numpy as np

from service.reading.pieces import lines_of, pieces_of, share_out
from tests.conftest import draw


def bars(*corners, size=(200, 300)):
    """Ink (H, W) uint8: a frame of a pen five pixels wide at each (x, y), 30 wide and 50 high."""
    ink = np.zeros(size, np.uint8)
    for x, y in corners:
        cv2.rectangle(ink, (x, y), (x + 30, y + 50), 1, 5)
    return ink * np.uint8(255)


def test_a_thin_foot_is_kept():
    ink = bars((40, 20), (120, 20))
    ink[80:82, 35:75] = 255
    assert len(pieces_of(ink)) == 3


def test_what_is_left_of_a_printed_box_is_much_thinner_than_the_strokes():
    ink = np.zeros((200, 300), np.uint8)
    cv2.rectangle(ink, (40, 40), (80, 120), 255, 15)
    ink[30:130, 120] = 255
    assert len(pieces_of(ink)) == 1


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
