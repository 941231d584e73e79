"""Read any number of digits in a picture, line by line.

The connected parts of the ink are pieces. A piece that is not surely one digit is cut where there is little ink, and
between the digits that Faster R-CNN sees. Up to five neighbouring pieces may be one digit: all models look at each such
candidate, and a line is read as the row of candidates that they are surest of (LeCun et al.,
https://doi.org/10.1109/5.726791, section VII). A page that is read unsurely upright is also read turned.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ..answers import Reason
from ..inference.consensus import Verdict
from ..picture.digit import LOOK
from ..picture.errors import BlankImage, OutOfTime, TooMuchWork
from ..picture.ink import InkFinder, is_shown, is_sure
from .looks import Looks, Models
from .pieces import (
    REACH,
    TALL,
    Piece,
    common_height,
    cut,
    framed,
    gap,
    hull,
    inked,
    lines_of,
    pieces_of,
)

LEAST_PAGE, MOST_PAGE = 512, 1024  # pixels of the longer side that a page is looked at with
HEIGHT = 48  # pixels of the commonest height on it
SINGLE = 0.97  # confidence at which a connected piece is one digit and is not cut
TOGETHER = 5  # most pieces of one digit
# Shares of the commonest height:
BROAD, LONG = 1.4, 2.0  # largest width and height of a digit of several pieces
WHOLE = 0.7  # least height of a whole stroke
WORD_GAP = 0.7  # a larger gap separates words
BESIDE = 0.3  # two whole strokes that share less of the narrower one's width are two digits
COMPANY = 0.5  # least confidence of a digit beside an accepted digit
MOSTLY = 0.65  # least share of digits in a word; with fewer it is a word of letters or a drawing, and none is read
UNSURE = 0.8  # mean confidence below which a page may lie on its side
FEW = 3  # digits that tell how a page lies; fewer do not, because a turned 6 is a 9
ALIKE = {0, 1, 8}  # they look the same upside down: a page of them alone is not turned by half


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One mark: a digit, or something else."""

    digit: int
    confidence: float
    reason: Reason | None  # why it is not accepted as a digit
    box: list[float]  # x_min, y_min, x_max, y_max in pixels of the picture
    line: int
    image: np.ndarray  # (28, 28) uint8, what the models saw

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @property
    def is_sure(self) -> bool:
        """Whether the mark is surely written."""
        return self.reason != "faint"


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is written in a picture, in reading order."""

    readings: list[Reading]
    turned: int = 0  # degrees counter-clockwise by which the picture had to be turned to be read: 0, 90, 180, 270


def read(
    picture: np.ndarray, models: Models, finder: InkFinder, names: list[str], deadline: float | None = None
) -> Page:
    """Read every digit in a picture (H, W) uint8 with the models `names`.

    deadline: time by time.perf_counter() after which nothing is sent to the models any more, None for no limit.
    Raises BlankImage if there is no ink, TooMuchWork if it exceeds the limits in `pieces` and `looks`, and OutOfTime
    once the deadline has passed.
    """
    looks = Looks(models, names, deadline)
    ink, scale = page_ink(picture, finder)
    shown = is_shown(picture)
    upright = _read(ink, looks, shown)
    best, sureness, turned = upright, _sureness(upright), 0
    if sum(mark.is_sure for mark in upright) >= FEW and sureness < UNSURE:
        with suppress(TooMuchWork, OutOfTime, BlankImage):  # then the upright reading stays
            for quarters in (1, 2, 3):
                readings = _read(np.ascontiguousarray(np.rot90(ink, quarters)), looks, shown)
                digits = [mark.digit for mark in readings if mark.accepted]
                tells = len(digits) >= FEW and (quarters != 2 or not ALIKE.issuperset(digits))
                if tells and (sure := _sureness(readings)) > max(sureness, UNSURE):
                    best, sureness, turned = readings, sure, quarters
    height, width = ink.shape
    limits = 2 * picture.shape[::-1]
    return Page(
        readings=[
            replace(
                mark,
                box=[
                    min(side / scale, float(limit))
                    for side, limit in zip(_turned_back(mark.box, turned, width, height), limits, strict=True)
                ],
            )
            for mark in best
        ],
        turned=90 * turned,
    )


def page_ink(picture: np.ndarray, finder: InkFinder) -> tuple[np.ndarray, float]:
    """The ink (H, W) uint8 of a picture (H, W) uint8, scaled so that most pieces are HEIGHT pixels high, and the scale.

    Raises BlankImage, TooMuchWork.
    """
    far, _ = finder.find(picture, LOOK)
    pieces = pieces_of(far)
    longest = int(max(far.shape) * HEIGHT / common_height(pieces)) if pieces else MOST_PAGE
    ink, scale = finder.find(picture, int(np.clip(longest, LEAST_PAGE, MOST_PAGE)))
    if pieces and longest <= LEAST_PAGE:  # a coarse look finds broad pens, a fine one hair lines
        ink = np.maximum(ink, cv2.resize(far, ink.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return ink, scale


def _sureness(readings: list[Reading]) -> float:
    """The mean confidence of the marks that are surely written; a refused one counts as 0."""
    return sum(mark.confidence for mark in readings if mark.accepted) / max(sum(mark.is_sure for mark in readings), 1)


def _turned_back(box: list[float], quarters: int, width: int, height: int) -> list[float]:
    """The box in the upright page (height, width) of a box in the page turned by `quarters` counter-clockwise."""
    x0, y0, x1, y1 = box
    return [
        [x0, y0, x1, y1],
        [width - y1, x0, width - y0, x1],
        [width - x1, height - y1, width - x0, height - y0],
        [y0, height - x1, y1, height - x0],
    ][quarters]


def _read(ink: np.ndarray, looks: Looks, shown: bool) -> list[Reading]:
    """What is written in ink (H, W) uint8; boxes are in its pixels. Raises BlankImage and like `Looks`.

    shown: whether the ink is of a picture that the network was shown.
    """
    pieces = pieces_of(ink)
    if not pieces:
        raise BlankImage
    height = common_height(pieces)
    looks.plan(images=len(pieces))
    whole = looks.verdicts([framed(ink, [piece]) for piece in pieces])
    doubtful = [p for p, verdict in zip(pieces, whole, strict=True) if verdict.confidence < SINGLE]
    lines = cut(lines_of(pieces, height), doubtful, ink, height, looks)
    candidates = [sorted(set(_candidates(line, height))) for line in lines]
    spans = [line[start:stop] for line, spans in zip(lines, candidates, strict=True) for start, stop in spans]
    looks.plan(images=sum(len(span) > 1 or not (span[0].first and span[0].last) for span in spans))
    images = [framed(ink, span) for span in spans]
    looked = iter(zip(looks.verdicts(images), images, strict=True))
    words: list[list[Reading]] = []
    for number, (line, spans) in enumerate(zip(lines, candidates, strict=True)):
        said = {span: next(looked) for span in spans}
        # All parts of a connected piece are digits, or none is: a part of a letter may look like a digit.
        says = {
            (start, stop): verdict
            for (start, stop), (verdict, _) in said.items()
            if not _is_torn(line, start, stop) or (verdict.accepted and _is_tall(hull(line[start:stop]), height))
        }
        marks = []
        for start, stop in _best_row(line, says):
            (verdict, image), box = said[start, stop], hull(line[start:stop])
            sure = not shown or is_sure(inked(ink, line[start:stop]))
            mark = Reading(
                digit=verdict.digit,
                confidence=verdict.confidence,
                reason=_reason(sure, verdict.accepted, _is_tall(box, height)),
                box=[float(side) for side in box],
                line=number,
                image=image,
            )
            marks.append(mark)
        words += _words(marks, height)
    return list(_in_company(words, height))


def _reason(sure: bool, accepted: bool, tall: bool) -> Reason | None:
    return "faint" if not sure else "small" if not tall else None if accepted else "unsure"


def _is_tall(box: np.ndarray | list[float], height: float) -> bool:
    return bool(box[3] - box[1] >= TALL * height)


def _words(marks: list[Reading], height: float) -> list[list[Reading]]:
    """The words of a line: lists of marks without a large gap."""
    words: list[list[Reading]] = []
    end = -np.inf
    for mark in marks:
        if mark.box[0] - end > WORD_GAP * height:
            words.append([])
        words[-1].append(mark)
        end = max(end, mark.box[2])
    return words


def _in_company(words: list[list[Reading]], height: float) -> Iterator[Reading]:
    """The marks of all words: doubtful ones beside digits are accepted, and words of letters are not."""
    some = any(mark.accepted for word in words for mark in word)
    for word in words:
        tall = [mark.is_sure and _is_tall(mark.box, height) for mark in word]
        digits = [
            mark.accepted or (some and high and mark.confidence >= COMPANY)
            for mark, high in zip(word, tall, strict=True)
        ]
        is_number = sum(digits) >= MOSTLY * sum(tall)
        for mark, digit in zip(word, digits, strict=True):
            yield replace(mark, reason=(None if is_number else "letters") if digit else mark.reason)


def _candidates(line: list[Piece], height: float) -> Iterator[tuple[int, int]]:
    """The neighbours that may be one digit, (start, stop) into a line. A whole connected part always may."""
    first = 0
    for start, piece in enumerate(line):
        for stop in range(start + 1, min(start + TOGETHER, len(line)) + 1):
            chosen = line[start:stop]
            width, tall = np.subtract(*np.split(hull(chosen), 2)[::-1])
            small = width <= BROAD * max(height, tall) and tall <= LONG * height
            if small and all(_belongs(chosen[i], chosen[:i], height) for i in range(1, len(chosen))):
                yield start, stop
        first = start if piece.first else first
        if piece.last:
            yield first, start + 1


def _is_torn(line: list[Piece], start: int, stop: int) -> bool:
    """Whether a candidate is connected to a piece beside it."""
    return not (line[start].first and line[stop - 1].last)


def _belongs(piece: Piece, others: list[Piece], height: float) -> bool:
    """Whether a piece may be part of the same digit as the others."""
    if any(piece.part == other.part for other in others):
        return True
    for other in others:  # see BESIDE
        shared = min(piece.box[2], other.box[2]) - max(piece.box[0], other.box[0])
        if min(piece.height, other.height) >= WHOLE * height and shared < BESIDE * min(piece.width, other.width):
            return False
    return min(gap(piece, other) for other in others) <= REACH * height


def _best_row(line: list[Piece], says: dict[tuple[int, int], Verdict]) -> list[tuple[int, int]]:
    """The surest row of candidates, (start, stop) each, that uses every piece of the line once."""
    best: list[tuple[float, int]] = [(0.0, 0)]  # score, and where it came from
    best += [(-np.inf, 0)] * len(line)
    for (start, stop), verdict in sorted(says.items(), key=lambda said: said[0][1]):
        score = best[start][0] + (stop - start) * float(np.log(verdict.confidence))
        best[stop] = max(best[stop], (score, start), key=lambda entry: entry[0])
    spans, stop = [], len(line)
    while stop:
        start = best[stop][1]
        spans.append((start, stop))
        stop = start
    return spans[::-1]
