"""What people write on one line of a form, a cheque or a sum: numbers mostly, and what stands among them.

A text is a string. Digits and the signs of `service.reading.line` stand for themselves, a space is a wide gap, letters
and other signs are letters and other signs, DRAWING is any drawing, and NUMBER a whole number in its writer's own hand.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

DRAWING, NUMBER = "\x01", "\x02"
LONGEST = 14  # marks of a line
LOWER, UPPER = "abcdefghijklmnopqrstuvwyz", "ABCDEFGHIJKLMNOPQRSTUVWYZ"  # x is the sign of a product
CURRENCIES = "€$€$#"

Generator = np.random.Generator
Choice = TypeVar("Choice")


def text(generator: Generator) -> str:
    """One line of writing, "" for none."""
    shares = np.array([share for _, share in KINDS])
    kind = int(generator.choice(len(KINDS), p=shares / shares.sum()))
    return KINDS[kind][0](generator)[: 2 * LONGEST].strip()


def digits(generator: Generator, count: int | None = None) -> str:
    """A number; one in four holds a run of one digit, mostly of zeros, as they are frequent on cheques."""
    if count is None:
        count = int(generator.integers(1, LONGEST + 1)) if generator.random() < 0.12 else int(generator.geometric(0.27))
    count = min(max(count, 1), LONGEST)
    number = "".join(map(str, generator.integers(0, 10, count)))
    if generator.random() < 0.05:
        number = "0123456789"[:count]
    if count > 1 and generator.random() < 0.25:
        run = int(generator.integers(2, min(count, 5) + 1))
        start = count - run if generator.random() < 0.6 else int(generator.integers(0, count - run + 1))
        same = "0" if generator.random() < 0.6 else str(generator.integers(10))
        number = number[:start] + same * run + number[start + run :]
    return number


def ones(generator: Generator) -> str:
    """1s, and what is commonest beside them: the mark that is lost most easily, as it is so narrow."""
    count = min(int(generator.geometric(0.4)), 6)
    return "".join("1" if generator.random() < 0.55 else _pick(generator, "0123456777") for _ in range(count))


def several(generator: Generator) -> str:
    """Numbers apart, as in columns."""
    return " ".join(digits(generator, int(generator.integers(1, 5))) for _ in range(int(generator.integers(2, 5))))


def whole(generator: Generator) -> str:
    return NUMBER if generator.random() < 0.8 else f"{NUMBER}{_pick(generator, '.,-/+= ')}{NUMBER}"


def amount(generator: Generator) -> str:
    whole = digits(generator, int(generator.integers(1, 4)))
    thousands, point = (",", ".") if generator.random() < 0.5 else (".", ",")
    if generator.random() < 0.3:
        whole += thousands + digits(generator, 3)
    cents = digits(generator, 2) if generator.random() < 0.6 else "00"
    end = _pick(generator, [point + cents, point + cents, point + "-", "-", "=", f".{point}-", "", f" {cents}/100"])
    sign, where = _pick(generator, CURRENCIES), generator.random()
    before, after = (sign if where < 0.35 else ""), (sign if where > 0.8 else "")
    return f"{before}{' ' if before and generator.random() < 0.2 else ''}{whole}{end}{after}"


def fenced(generator: Generator) -> str:
    fence = _pick(generator, ["#", "-", "=", "("])
    return f"{fence}{_pick(generator, [digits, amount])(generator)}{')' if fence == '(' else fence}"


def date(generator: Generator) -> str:
    day, month = generator.integers(1, (32, 13))
    year = int(generator.integers(1930, 2036))
    between = _pick(generator, "//.-")
    padded = generator.random() < 0.6
    day, month = (f"{day:02}", f"{month:02}") if padded else (str(day), str(month))
    years = str(year) if generator.random() < 0.5 else f"{year % 100:02}"
    order = [day, month, years] if generator.random() < 0.75 else [str(year), month, day]
    return between.join(order)


def fraction(generator: Generator) -> str:
    return f"{digits(generator, int(generator.integers(1, 4)))}/{digits(generator, int(generator.integers(1, 4)))}"


def calculation(generator: Generator) -> str:
    parts = [digits(generator, int(generator.integers(1, 4))) for _ in range(int(generator.integers(2, 4)))]
    sign = _pick(generator, "+-x:/+")
    line = sign.join(parts)
    return f"{line}={digits(generator, int(generator.integers(1, 4)))}" if generator.random() < 0.7 else line


def decimal(generator: Generator) -> str:
    sign = _pick(generator, ["", "", "-", "+"])
    point = _pick(generator, ".,")
    return (
        sign
        + digits(generator, int(generator.integers(1, 4)))
        + point
        + digits(generator, int(generator.integers(1, 5)))
    )


def percentage(generator: Generator) -> str:
    number = digits(generator, int(generator.integers(1, 4)))
    return f"{number}{'.' + digits(generator, 1) if generator.random() < 0.2 else ''}%"


def telephone(generator: Generator) -> str:
    area = digits(generator, int(generator.integers(2, 4)))
    gap = _pick(generator, [" ", "-", ""])
    rest = digits(generator, 3) + gap + digits(generator, int(generator.integers(2, 5)))
    return f"({area}) {rest}" if generator.random() < 0.7 else f"+{area} {rest}"


def time(generator: Generator) -> str:
    hour, minute = generator.integers((0, 0), (24, 60))
    return f"{hour}:{minute:02}"


def with_unit(generator: Generator) -> str:
    """A number with a unit, or a house number: 12 kg, 5cm, 12a, A4."""
    number = digits(generator, int(generator.integers(1, 5)))
    unit = _word(generator, int(generator.integers(1, 4)))
    gap = " " if generator.random() < 0.3 else ""
    return f"{number}{gap}{unit}" if generator.random() < 0.8 else f"{unit}{gap}{number}"


def numbered(generator: Generator) -> str:
    """#12, 3), 4., No 7:"""
    number = digits(generator, int(generator.integers(1, 5)))
    return _pick(generator, [f"#{number}", f"{number})", f"{number}.", f"({number})", f"{number}:", f"{number}-"])


def scattered(generator: Generator) -> str:
    """Signs anywhere, so that none is known by its place alone."""
    signs = ".,-+/:%=()x€$#"
    number = list(digits(generator, int(generator.integers(2, 8))))
    for _ in range(int(generator.integers(1, 4))):
        number.insert(int(generator.integers(0, len(number) + 1)), _pick(generator, signs))
    return "".join(number)


def _word(generator: Generator, count: int) -> str:
    letters = UPPER if generator.random() < 0.3 else LOWER
    word = "".join(generator.choice(list(letters), count))
    if count < 3:
        word = "".join(_pick(generator, "acdefhkmnprtuvwyACEFHKMNPRTUVWY") for _ in word)
    return word[:1].upper() + word[1:] if generator.random() < 0.2 else word


def words(generator: Generator) -> str:
    return " ".join(_word(generator, int(generator.integers(2, 8))) for _ in range(int(generator.integers(1, 4))))


def letter(generator: Generator) -> str:
    return _pick(generator, "acdefhkmnprtuvwyACEFHKLMNPRTUVWXY?&@*<")


def words_and_numbers(generator: Generator) -> str:
    parts = [_word(generator, int(generator.integers(2, 7))), digits(generator, int(generator.integers(1, 6)))]
    if generator.random() < 0.5:
        parts.reverse()
    return " ".join(parts)


def drawings(generator: Generator) -> str:
    if generator.random() < 0.25:  # beside a number
        parts = [DRAWING, digits(generator, int(generator.integers(1, 5)))]
        return " ".join(parts if generator.random() < 0.5 else parts[::-1])
    return " ".join(DRAWING * int(generator.integers(1, 4))) if generator.random() < 0.7 else DRAWING * 3


def nothing(generator: Generator) -> str:
    return ""


def _pick(generator: Generator, choices: Sequence[Choice]) -> Choice:
    return choices[int(generator.integers(len(choices)))]


KINDS: tuple[tuple[Callable[[Generator], str], float], ...] = (
    *((digits, 0.38), (ones, 0.04), (several, 0.05), (whole, 0.09)),
    *((amount, 0.07), (fenced, 0.02), (date, 0.05), (fraction, 0.03), (calculation, 0.04), (decimal, 0.03)),
    *(
        (percentage, 0.02),
        (telephone, 0.02),
        (time, 0.015),
        (with_unit, 0.03),
        (numbered, 0.02),
        (scattered, 0.025),
    ),
    *((words, 0.06), (letter, 0.03), (words_and_numbers, 0.03), (drawings, 0.06), (nothing, 0.05)),
)  # and how often each is written
