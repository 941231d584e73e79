"""Read a picture with any number of lines: digits, the signs among them, and that there is something else.

The connected parts of the ink are pieces, and these stand in lines. Each line is cut out of the grey picture and read
whole by the line recogniser, which says how many characters there are, where, and which (`.line`). The pieces that lie
under a digit are framed and shown to all models. The digit is the one that they and the line recogniser together are
surest of. A page that cannot be read upright is also read turned.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import cv2
import numpy as np

from ..answers import Reason
from ..inference.predictor import Predictor
from ..picture.container import along
from ..picture.digit import LOOK, Crowd
from ..picture.errors import BlankImage, OutOfTime, TooMuchWork
from ..picture.ink import InkFinder, is_shown, is_sure
from .line import DIGITS, OTHER, Character, Strip, cut_out
from .looks import Looks
from .pieces import COLUMN, TALL, Piece, common_height, framed, hull, inked, lines_of, pen_of, pieces_of, share_out

LEAST_PAGE, MOST_PAGE = 512, 1024  # pixels of the longer side that a page is looked at with
HEIGHT = 48  # pixels of the commonest height on it
ACCEPTED = 0.5  # least confidence of an accepted digit
ALONE = 0.99  # and least probability by the line recogniser alone: of 14 made pictures without a digit 2 have more
LINE = 0.7  # weight of what the line recogniser says of a digit, beside 1 of the models: .5 and 1 read fewer lines
JOINING = ".,"  # signs inside a number
WORD_GAP = 0.7  # of the commonest height: a gap larger than it and twice those inside numbers separates two numbers
UNSURE = 0.5  # share of digits among the marks below which a page may lie on its side
CLEARLY = 0.8  # and above which it is read so
FEW = 3  # digits that tell how a page lies; fewer do not, because a turned 6 is a 9
ALIKE = {"0", "1", "8"}  # they look the same upside down: a page of them alone is not turned by half


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A character as the line recogniser reads it, and where it stands."""

    character: Character
    strip: Strip  # in which it was read
    line: int
    pieces: list[Piece]  # of ink that belong to it, may be none


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What the line recogniser reads in a picture."""

    characters: list[Placed]  # line by line
    pieces: list[Piece]  # all of the ink, those that belong to no character too
    height: float  # the commonest of the pieces


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One character, or something else."""

    sign: str  # of `line.CHARACTERS`
    confidence: float
    reason: Reason | None  # why it is no accepted digit or sign
    box: list[float]  # x_min, y_min, x_max, y_max in pixels of the picture
    line: int
    spaced: bool = False  # whether a gap separates it from the mark before it on its line
    image: np.ndarray | None = None  # (28, 28) uint8, what the models saw of a digit

    @property
    def accepted(self) -> bool:
        return self.reason is None

    @property
    def is_digit(self) -> bool:
        return self.sign in DIGITS


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is written in a picture, in reading order."""

    marks: list[Mark]
    turned: int = 0  # degrees counter-clockwise by which the picture had to be turned to be read: 0, 90, 180, 270

    @property
    def numbers(self) -> list[list[Mark]]:
        """The accepted digits, number by number. A sign but for a point or a comma ends a number, as a gap does."""
        found: list[list[Mark]] = []
        before: Mark | None = None  # the digit that the next one may follow
        for mark in self.marks:
            ends = mark.spaced or (before is not None and mark.line != before.line)
            before = None if ends else before
            if mark.is_digit and mark.accepted:
                if before is None:
                    found.append([])
                found[-1].append(mark)
                before = mark
            elif mark.sign not in JOINING:
                before = None
        return found

    @property
    def text(self) -> str:
        """The digits of each line that has some, with a space between its numbers."""
        lines: dict[int, list[str]] = {}
        for number in self.numbers:
            lines.setdefault(number[0].line, []).append("".join(mark.sign for mark in number))
        return "\n".join(" ".join(lines[line]) for line in sorted(lines))

    @property
    def transcript(self) -> str:
        """All lines with their signs; a digit that is not accepted is OTHER."""
        lines: dict[int, str] = {}
        for mark in self.marks:
            sign = mark.sign if mark.accepted or not mark.is_digit else OTHER
            lines[mark.line] = lines.get(mark.line, "") + (" " if mark.spaced else "") + sign
        return "\n".join(lines[line] for line in sorted(lines))

    @property
    def note(self) -> str | None:
        """What `text` leaves out, as a sentence; None for nothing."""
        signs = sum(mark.accepted and not mark.is_digit for mark in self.marks)
        doubtful = sum(not mark.accepted and mark.sign != OTHER for mark in self.marks)
        others = sum(mark.sign == OTHER for mark in self.marks)
        kinds = (signs, "sign", ""), (doubtful, "doubtful mark", ""), (others, "mark", " that may be letters")
        said = [f"{count} {name}{'s' if count > 1 else ''}{more}" for count, name, more in kinds if count]
        return f"The text leaves out {' and '.join(said)}; the transcript shows them." if said else None


def around(marks: Sequence[Mark]) -> list[float]:
    """The box around several marks."""
    sides = list(zip(*(mark.box for mark in marks), strict=True))
    return [min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])]


def read(
    picture: np.ndarray,
    models: Predictor,
    finder: InkFinder,
    names: list[str],
    deadline: float | None = None,
    turn: bool = True,
) -> Page:
    """Read everything in a picture (H, W) uint8 with the models `names`.

    deadline: time by time.perf_counter() after which nothing is sent to the models any more, None for no limit.
    turn: whether a page that cannot be read upright is also read turned.
    Raises BlankImage if there is no ink, TooMuchWork if it exceeds the limits in `pieces` and `looks`, and OutOfTime
    once the deadline has passed.
    """
    looks = Looks(models, names, deadline)
    ink, scale = page_ink(picture, finder)
    best, turned = _read(picture, ink, scale, looks), 0
    if turn and (sureness := _sureness(best)) < UNSURE:
        with suppress(TooMuchWork, OutOfTime, BlankImage):  # then the upright reading stays
            for quarters in (1, 2, 3):
                lying, lying_ink = (np.ascontiguousarray(np.rot90(one, quarters)) for one in (picture, ink))
                marks = _read(lying, lying_ink, scale, looks)
                digits = [mark.sign for mark in marks if mark.is_digit and mark.accepted]
                tells = len(digits) >= FEW and (quarters != 2 or not ALIKE.issuperset(digits))
                if tells and (sure := _sureness(marks)) > max(sureness, CLEARLY):
                    best, sureness, turned = marks, sure, quarters
    height, width = ink.shape
    limits = 2 * picture.shape[::-1]
    return Page(
        marks=[
            replace(
                mark,
                box=[
                    float(np.clip(side / scale, 0, limit))
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
    more = along(*picture.shape)
    far, _ = finder.find(picture, int(LOOK * more))
    pieces = pieces_of(far)
    longest = int(max(far.shape) * HEIGHT / common_height(pieces)) if pieces else int(MOST_PAGE * more)
    ink, scale = finder.find(picture, int(np.clip(longest, LEAST_PAGE * more, MOST_PAGE * more)))
    if pieces and longest <= LEAST_PAGE * more:  # a coarse look finds broad pens, a fine one hair lines
        ink = np.maximum(ink, cv2.resize(far, ink.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return ink, scale


def _sureness(marks: list[Mark]) -> float:
    """The mean confidence of the marks; one that is no accepted digit counts as 0."""
    return sum(mark.confidence for mark in marks if mark.is_digit and mark.accepted) / max(len(marks), 1)


def _turned_back(box: list[float], quarters: int, width: int, height: int) -> list[float]:
    """The box in the upright page (height, width) of a box in the page turned by `quarters` counter-clockwise."""
    x0, y0, x1, y1 = box
    return [
        [x0, y0, x1, y1],
        [width - y1, x0, width - y0, x1],
        [width - x1, height - y1, width - x0, height - y0],
        [y0, height - x1, y1, height - x0],
    ][quarters]


def count(crowd: Crowd, models: Predictor) -> tuple[int, bool]:
    """How many digits stand in a picture in which one was found, and whether other marks as tall stand beside them.

    By the line recogniser alone. Of 65 crowded pictures of the development set it gives the number of digits of 64,
    Faster R-CNN of 57.
    """
    try:
        writing = characters_of(crowd.picture, crowd.ink, crowd.scale, Looks(models, [], None))
    except BlankImage:  # the pieces are as small as dirt, or as thin as print
        return 1, False
    except TooMuchWork:
        return 1, True
    owned = [piece for one in writing.characters for piece in one.pieces]
    left, _, right, _ = hull(owned) if owned else (0, 0, 0, 0)
    tall = TALL * writing.height
    digits = sum(one.character.is_digit for one in writing.characters)
    others = sum(
        not one.character.is_digit and any(piece.height >= tall for piece in one.pieces) for one in writing.characters
    )
    others += sum(piece.height >= tall and not left <= piece.middle <= right for piece in writing.pieces)
    return max(digits, 1), digits + others > 1 and others > 0


def _read(picture: np.ndarray, ink: np.ndarray, scale: float, looks: Looks) -> list[Mark]:
    """What is written in a picture (H, W) uint8 and its ink, `scale` of whose pixels are one of the picture.

    Boxes are in pixels of the ink. Raises BlankImage and like `Looks`.
    """
    writing = characters_of(picture, ink, scale, looks)
    found = writing.characters
    images = [framed(ink, one.pieces) for one in found if one.character.is_digit and one.pieces]
    looked = iter(zip(looks.digits(images), images, strict=True))
    marks = []
    for one in found:
        seen, image = next(looked) if one.character.is_digit and one.pieces else (None, None)
        # Beside others, is_digit is worth less: with a digit that touches its neighbours, parts of these are seen.
        foreign = len(found) == 1 and seen is not None and seen[1]
        if foreign:  # or a digit in a ring or underlined, which the line recogniser knows and the models do not
            sign, confidence = _decide(one.character, None)
            foreign = float(one.character.digits.max()) < ALONE
        else:
            sign, confidence = _decide(one.character, None if seen is None else seen[0])
        faint = is_shown(picture) and bool(one.pieces) and not is_sure(inked(ink, one.pieces))
        box = hull(one.pieces) if one.pieces else _place(one, writing.height)
        marks.append(
            Mark(
                sign=sign,
                confidence=confidence,
                reason=_reason(sign, confidence, faint, foreign),
                box=[float(side) for side in box],
                line=one.line,
                image=image,
            )
        )
    return list(_spaced(marks, writing.height))


def characters_of(picture: np.ndarray, ink: np.ndarray, scale: float, looks: Looks) -> Writing:
    """What the line recogniser reads in a picture (H, W) uint8.

    ink: (H, W) uint8, `scale` of its pixels are one of the picture. Raises BlankImage and like `Looks`.
    """
    pieces = pieces_of(ink)
    if not pieces:
        raise BlankImage
    height = common_height(pieces)
    columns = [(number, part) for number, line in enumerate(lines_of(pieces, height)) for part in line]
    boxes = [np.stack([piece.box for piece in part]) for _, part in columns]
    strips = [
        cut_out(picture, ink, scale, box, height, pen_of(part)) for box, (_, part) in zip(boxes, columns, strict=True)
    ]
    found: list[Placed] = []
    for (number, part), strip, said in zip(columns, strips, looks.lines([one.grey for one in strips]), strict=True):
        places = share_out(part, [strip.column(one.step) for one in said], ink, height)
        found += [
            Placed(character=one, strip=strip, line=number, pieces=own) for one, own in zip(said, places, strict=True)
        ]
    return Writing(characters=found, pieces=pieces, height=height)


def _decide(one: Character, mean: np.ndarray | None) -> tuple[str, float]:
    """The sign of a character, and how sure it is; mean: of the models that looked at it (10,)."""
    if not one.is_digit:
        return one.sign, one.probability
    both = one.digits**LINE
    if mean is not None:
        both = both * mean
    digit = int(both.argmax())
    return DIGITS[digit], one.may_be_digit * float(both[digit] / both.sum())


def _reason(sign: str, confidence: float, faint: bool, foreign: bool) -> Reason | None:
    if sign == OTHER or foreign:
        return "no_digit"
    return "faint" if faint else "unsure" if confidence < ACCEPTED else None


def _place(one: Placed, height: float) -> np.ndarray:
    """A box about where a character is that no piece belongs to."""
    x = one.strip.column(one.character.step)
    return np.array([x - height / 4, one.strip.top, x + height / 4, one.strip.bottom])


def _spaced(marks: list[Mark], height: float) -> Iterator[Mark]:
    """The marks of all lines, with whether a gap separates each from the one before."""
    for _, group in groupby(marks, key=lambda mark: mark.line):
        line = list(group)
        gaps = np.array([after.box[0] - before.box[2] for before, after in pairwise(line)])
        least = max(WORD_GAP * height, 2 * np.quantile(gaps, 0.25)) if len(gaps) else 0.0
        yield line[0]
        for gap, mark in zip(gaps, line[1:], strict=True):
            yield replace(mark, spaced=bool(gap > min(least, COLUMN * height)))
