"""Which pictures are read rightly, which are refused, and how long does one take?

Six parts, each by the same `Recogniser` that the service asks:

- photographs: MNIST's validation digits in made photographs, one hardship at a time. A photograph shows one digit, or,
  for `/read` alone, a number of five.
- others: pictures without a digit: letters of Omniglot's alphabets that no network was trained on and Quick, Draw!'s
  test doodles on made paper, papers and forms without writing, and scikit-image's sample photographs
  (pip install scikit-image pooch) without its two of printed text.
- lines: amounts, dates, sums and the like, ringed and underlined numbers, words and drawings, by the validation writers
  of UNIPEN, on made paper. Of each, the digits may be right, and the transcript.
- reading: milliseconds from the bytes of a picture to its text, without HTTP. Let nothing else run beside it.
- corrupted: MNIST's validation digits after MNIST-C's corruptions, 28x28 pixels each, read by the models alone and by
  the service, which looks for the digit first.
- ocr: numbers by UNIPEN's test writers, and with --images a folder of labelled pictures (training.measure.folder),
  read by the service and by RapidOCR, an OCR for text of any kind (pip install rapidocr), of whose text only digits
  count.

    python -m benchmarks.pictures --parts others reading --count 60
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import corruptions
from benchmarks import photographs as made
from benchmarks.photographs import NUMBER, Generator, Page, drawn, encoded, ink, paper
from benchmarks.records import Record, hardware, parser, show
from service.answers import Prediction
from service.picture.errors import InvalidImage
from service.reading.line import DIGITS
from service.recogniser import Recogniser
from training.data import mnist, unipen
from training.data.doodles import drawings
from training.data.omniglot import unseen_alphabets
from training.data.writers import Source
from training.measure.folder import distance, labelled
from training.records import table_of
from training.scenes import texts
from training.scenes.hands import Signs
from training.scenes.writing import written

Reader = Callable[[bytes], str]  # the bytes of a picture to its lines of digits
Labelled = tuple[bytes, str]  # a picture, and what is written on it

SEED = 0
SAMPLES = (  # of scikit-image
    *("astronaut", "brick", "camera", "cat", "cell", "coffee", "coins", "colorwheel", "grass", "gravel", "horse"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "retina", "rocket"),
)
FACES = 20  # of scikit-image's 100, all of people
LINE_HEIGHT = 60, 150  # pixels of a digit of a line
LINES: dict[str, Callable[[Generator], str]] = {
    "numbers": texts.digits,
    "whole numbers in one hand": texts.whole,
    "amounts": texts.amount,
    "dates": texts.date,
    "fractions": texts.fraction,
    "sums": texts.calculation,
    "decimals": texts.decimal,
    "percentages": texts.percentage,
    "telephone numbers": texts.telephone,
    "numbers with units": texts.with_unit,
    "words": texts.words,
    "drawings": lambda generator: texts.DRAWING * int(generator.integers(1, 4)),
}


def photographs(recogniser: Recogniser, count: int) -> Record:
    """By hardship, the shares of digits that /predict and /read get right, and of numbers of five."""
    images, labels = _validation(NUMBER * count)
    right = {}
    for hardship in tqdm(made.HARDSHIPS, desc="photographs"):
        generator, found = np.random.default_rng(SEED), np.zeros(3)
        for start in range(0, NUMBER * count, NUMBER):
            number = "".join(map(str, labels[start : start + NUMBER]))
            one, row = (encoded(hardship(images[start : start + n], generator)) for n in (1, NUMBER))
            with suppress(InvalidImage):
                found[0] += recogniser.predict(one).digit == labels[start]
            found[1:] += text(recogniser, one) == number[0], text(recogniser, row) == number
        right[hardship.__name__] = (found / count).tolist()
    return {"count": count, "seed": SEED, "right": right}


def text(recogniser: Recogniser, data: bytes) -> str:
    """What /read says, without spaces; nothing for a picture that is refused."""
    with suppress(InvalidImage):
        return recogniser.read(data).text.replace(" ", "")
    return ""


def photographed(record: Record) -> str:
    rows = [[name.replace("_", " "), *(f"{share:.0%}" for share in shares)] for name, shares in record["right"].items()]
    table = table_of(["hardship", "`/predict`", "`/read`", "numbers"], rows)
    return f"{table}\n{record['count']} pictures of each kind."


def others(recogniser: Recogniser, count: int) -> Record:
    """By kind, how many pictures without a digit /predict accepts, and /read does not read as nothing."""
    generator = np.random.default_rng(SEED)
    letters, doodles = unseen_alphabets(), drawings("test")
    sets: dict[str, Iterable[bytes]] = {
        "letters of unseen alphabets": _on_paper(letters, 1, count, generator),
        "five such letters in a row": _on_paper(letters, NUMBER, count, generator),
        "doodles": _on_paper(doodles, 1, count, generator),
    }
    for sheet in made.PAPERS:
        sets[sheet.__name__.replace("_", " ")] = _sheets(sheet, max(count // 3, 1), generator)
    try:
        samples: Any = import_module("skimage.data")
        sets["sample photographs"] = (_png(getattr(samples, name)()) for name in SAMPLES)
        sets["faces of 25x25 pixels"] = (_png((255 * face).astype(np.uint8)) for face in samples.lfw_subset()[:FACES])
    except ModuleNotFoundError:
        print("scikit-image is not installed, so its photographs are left out.")
    return {"seed": SEED, "rows": {title: _taken(tqdm(files, title), recogniser) for title, files in sets.items()}}


def _on_paper(source: Source, each: int, count: int, generator: Generator) -> Iterator[bytes]:
    """Photographs of `each` signs of a source in a row."""
    for _ in range(count):
        images = source.draw(generator.choice(len(source), each, replace=False), generator)
        yield encoded(drawn(paper(generator), ink(images, generator)))


def _sheets(sheet: Callable[[Generator], Page], count: int, generator: Generator) -> Iterator[bytes]:
    for _ in range(count):
        yield encoded(sheet(generator))


def _png(picture: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(np.uint8(255) * picture if picture.dtype == bool else picture).save(file, "PNG")
    return file.getvalue()


def _taken(pictures: Iterable[bytes], recogniser: Recogniser) -> dict[str, int]:
    n = accepted = read = 0
    for data in pictures:
        n += 1
        with suppress(InvalidImage):
            accepted += recogniser.predict(data).accepted
        read += text(recogniser, data) != ""
    return {"n": n, "accepted": accepted, "read": read}


def mistaken(record: Record) -> str:
    rows = [[title, row["n"], row["accepted"], row["read"]] for title, row in record["rows"].items()]
    return table_of(["pictures without a digit", "n", "accepted by `/predict`", "not empty for `/read`"], rows)


def lines(recogniser: Recogniser, count: int) -> Record:
    """By kind of line, the shares of which the digits are right, and the transcript; spaces do not count."""
    signs = Signs.load("validation")
    rows = {}
    for title, text_of in tqdm(LINES.items(), desc="lines"):
        generator, right = np.random.default_rng(SEED), np.zeros(2)
        for _ in range(count):
            height = generator.uniform(*LINE_HEIGHT)
            _, _, ink, transcript = written(text_of(generator), signs, height, generator)
            said = _said(recogniser, encoded(made.line(ink, generator)))
            digits = "".join(sign for sign in transcript if sign in DIGITS)
            right += "".join(said[0].split()) == digits, "".join(said[1].split()) == transcript
        rows[title] = (right / count).tolist()
    return {"count": count, "seed": SEED, "right": rows}


def _said(recogniser: Recogniser, data: bytes) -> tuple[str, str]:
    """The text and the transcript of a picture; nothing for one that is refused."""
    with suppress(InvalidImage):
        answer = recogniser.read(data)
        return answer.text, answer.transcript
    return "", ""


def transcribed(record: Record) -> str:
    rows = [[title, *(f"{share:.0%}" for share in shares)] for title, shares in record["right"].items()]
    return f"{table_of(['lines', 'digits', 'transcript'], rows)}\n{record['count']} lines of each kind."


def reading(recogniser: Recogniser, count: int) -> Record:
    """Milliseconds of one digit, a line of five and a page of fifty, in photographs of 800x600 pixels."""
    generator = np.random.default_rng(SEED)
    images, _ = _validation()

    def pictures(draw: Callable[[np.ndarray, Generator], Page], digits: int) -> list[bytes]:
        return [
            encoded(draw(images[some], generator)) for some in generator.integers(len(images), size=(count, digits))
        ]

    rows = {
        "one digit, `/predict`": _times(recogniser.predict, pictures(made.photograph, 1)),
        "a line of five digits, `/read`": _times(recogniser.read, pictures(made.photograph, NUMBER)),
        "a page of fifty digits, `/read`": _times(recogniser.read, pictures(made.page, made.ROWS * made.COLUMNS)),
    }
    return {"hardware": hardware(), "threads": recogniser.settings.threads, "seed": SEED, "rows": rows}


def _times(work: Callable[[bytes], object], pictures: Sequence[bytes]) -> dict[str, float]:
    """The median and the 95th percentile of what a picture takes, after all of them once as a warm-up."""
    for data in pictures:
        work(data)
    taken = []
    for data in pictures:
        start = time.perf_counter()
        work(data)
        taken.append((time.perf_counter() - start) * 1e3)
    median, high = np.percentile(taken, (50, 95)).round(1).tolist()
    return {"n": len(pictures), "median_ms": median, "p95_ms": high}


def timed(record: Record) -> str:
    rows = [[title, f"{row['median_ms']:.0f}", f"{row['p95_ms']:.0f}"] for title, row in record["rows"].items()]
    count = next(iter(record["rows"].values()))["n"]
    where = f"{count} pictures of each kind, {record['threads']} threads of {record['hardware']}."
    return f"{table_of(['picture', 'median, ms', '95 % below, ms'], rows)}\n{where}"


def corrupted(recogniser: Recogniser, count: int) -> Record:
    """By corruption, the shares of digits that the models get right alone, the service gets right, and it accepts."""
    images, labels = _validation(count)
    right = {}
    for corruption in tqdm(corruptions.CORRUPTIONS, desc="corrupted"):
        pictures = corruptions.corrupted(images, corruption, SEED)
        alone = recogniser.classify(pictures).mean.argmax(1)
        answers = recogniser.predict_many([_png(picture) for picture in pictures])
        said = [(one.digit, one.accepted) if isinstance(one, Prediction) else (None, False) for one in answers]
        digits, accepted = zip(*said, strict=True)
        right[corruption.__name__] = [
            float(np.mean(values)) for values in (alone == labels, np.array(digits) == labels, accepted)
        ]
    return {"count": count, "seed": SEED, "right": right}


def withstood(record: Record) -> str:
    mean = np.mean(list(record["right"].values()), axis=0)
    shares = record["right"] | {"mean": mean.tolist()}
    rows = [[name.replace("_", " "), *(f"{share:.1%}" for share in row)] for name, row in shares.items()]
    table = table_of(["corruption", "models alone", "`/predict`", "accepted"], rows)
    return f"{table}\n{record['count']} images of each kind."


def ocr(recogniser: Recogniser, count: int, images: Path | None) -> Record:
    """By set and reader, the share of pictures that are read exactly, and of the characters that are wrong."""
    generator = np.random.default_rng(SEED)
    rows, strokes = unipen.samples("test", None, unipen.NUMBERS)
    chosen = generator.choice(rows, min(count, len(rows)), replace=False)
    numbers = [(encoded(made.written(strokes, row, generator)), str(strokes.label[row])) for row in chosen]
    sets = {"UNIPEN numbers": numbers}
    if images:
        named = [(one.path.read_bytes(), one.truth) for one in labelled(images) if len(one.truth) > 1]
        sets["lines of the development set"] = [one for one in named if "\n" not in one[1]]
        sets["pages of the development set"] = [one for one in named if "\n" in one[1]]
    readers: dict[str, Reader] = {"Quintet": lambda data: text(recogniser, data)}
    found: Record = {"seed": SEED}
    with suppress(ModuleNotFoundError):
        readers |= {"RapidOCR": _rapidocr(detector=True), "RapidOCR, recogniser alone": _rapidocr(detector=False)}
        found["rapidocr"] = version("rapidocr")
    cases = [(name, who) for name in sets for who in readers]
    return found | {"rows": [{"set": name, "reader": who} | right(readers[who], sets[name]) for name, who in cases]}


def _rapidocr(detector: bool) -> Reader:
    """detector: it finds the lines itself; else a picture is given to its recogniser as one line."""
    rapidocr: Any = import_module("rapidocr")
    logging.disable(logging.WARNING)  # it says at each picture what it did not find
    engine = rapidocr.RapidOCR()

    def read(data: bytes) -> str:
        found = engine(data, use_det=detector, use_cls=detector, use_rec=True)
        lines = (re.sub(r"[^0-9]", "", line) for line in found.txts or ())
        return "\n".join(line for line in lines if line)

    return read


def right(reader: Reader, pictures: Sequence[Labelled]) -> dict[str, float]:
    """How many pictures are read exactly, and the wrong characters as a share of those written."""
    said = [(truth, reader(data)) for data, truth in tqdm(pictures)]
    return {
        "n": len(said),
        "exact": sum(truth == read for truth, read in said) / len(said),
        "character_errors": sum(distance(*pair) for pair in said) / sum(len(truth) for truth, _ in said),
    }


def compared(record: Record) -> str:
    rows = [
        [row["set"], row["n"], row["reader"], f"{row['exact']:.1%}", f"{row['character_errors']:.1%}"]
        for row in record["rows"]
    ]
    said = f"\nRapidOCR {record['rapidocr']} with the models that come with it." if "rapidocr" in record else ""
    return table_of(["pictures", "n", "reader", "read exactly", "wrong characters"], rows) + said


def _validation(count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's validation images (N, 28, 28) uint8, which no network was trained on, and their labels (N,)."""
    images, labels = mnist.load("validation")
    return images[:count, 0].numpy(), labels[:count].numpy()


PARTS: dict[str, Callable[..., Record]] = {
    "photographs": photographs,
    "others": others,
    "lines": lines,
    "corrupted": corrupted,
    "reading": reading,
    "ocr": ocr,
}
TABLES = {
    "photographs": photographed,
    "others": mistaken,
    "lines": transcribed,
    "corrupted": withstood,
    "reading": timed,
    "ocr": compared,
}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=TABLES, default=list(TABLES), help="default: all of them")
    options.add_argument("--count", type=int, default=100, help="pictures of each kind; default: 100")
    options.add_argument("--images", type=Path, help="a folder of labelled pictures, for the part ocr")
    arguments = options.parse_args(argv)
    try:
        recogniser = Recogniser(device="cpu")
        for part in arguments.parts:
            more = {"images": arguments.images} if part == "ocr" else {}
            show(part, PARTS[part](recogniser, arguments.count, **more), TABLES[part], arguments.record)
    except FileNotFoundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
