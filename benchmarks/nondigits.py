"""Pictures that hold no digit: how many `/predict` accepts, and how many `/read` reads something from.

    pip install '.[photographs]'
    python -m benchmarks.nondigits --record results/nondigits.json

Letters are of Omniglot's alphabets that no network was trained on, doodles of Quick, Draw!'s test split: alone or five
in a row on made paper. Blank, ruled and squared paper and empty forms are made as in `benchmarks.photographs`. The rest
are the sample photographs that come with scikit-image, without its two of printed text.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.photographs import NUMBER, SIZE, Generator, Page, drawn, encoded, ink, paper
from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from training.data.doodles import drawings
from training.data.omniglot import unseen_alphabets
from training.data.writers import Source

SEED = 0
PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "cat", "cell", "coffee", "coins", "colorwheel", "grass", "gravel", "horse"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "retina", "rocket"),
)
FACES = 20  # of scikit-image's 100, all of people


def drawn_on_paper(source: Source, each: int, count: int, generator: Generator) -> Iterable[bytes]:
    """Photographs of `each` signs of a source in a row."""
    for _ in range(count):
        images = source.draw(generator.choice(len(source), each, replace=False), generator)
        yield encoded(drawn(paper(generator), ink(images, generator)))


def blank(generator: Generator) -> Page:
    return paper(generator)


def ruled(generator: Generator) -> Page:
    page, start, spacing = paper(generator), generator.integers(5, 60), generator.integers(25, 90)
    for y in range(start, SIZE[0] - 2, spacing):
        page[y : y + 2] *= 0.7
    return page


def squared(generator: Generator) -> Page:
    page, start, spacing = paper(generator), generator.integers(5, 20), generator.integers(15, 50)
    for lines in (page, page.transpose(1, 0, 2)):
        for at in range(start, len(lines) - 2, spacing):
            lines[at : at + 2] *= 0.75
    return page


def empty_form(generator: Generator) -> Page:
    """A row of empty boxes."""
    page, side = paper(generator), int(generator.integers(40, 130))
    x, y = generator.integers(5, 60), generator.integers(5, SIZE[0] - side - 10)
    for left in range(x, SIZE[1] - side - 5, side + int(generator.integers(0, 2)) * 10):
        cv2.rectangle(page, (int(left), int(y)), (int(left) + side, int(y) + side), (110, 120, 120), 2)
    return page


PAPERS: tuple[Callable[[Generator], Page], ...] = blank, ruled, squared, empty_form


def photographs() -> dict[str, list[bytes]]:
    """The sample photographs of scikit-image. Raises ModuleNotFoundError where it is not installed."""
    samples: Any = import_module("skimage.data")  # of the extra `photographs`
    pictures = [np.asarray(getattr(samples, name)()) for name in PHOTOGRAPHS]
    faces = [(255 * face).astype(np.uint8) for face in samples.lfw_subset()[:FACES]]
    return {
        "sample photographs": [_png(np.uint8(255) * one if one.dtype == bool else one) for one in pictures],
        "faces of 25x25 pixels": [_png(face) for face in faces],
    }


def _png(picture: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def measure(pictures: Iterable[bytes], recogniser: Recogniser) -> dict[str, int]:
    """How many pictures without a digit there are, are accepted by `/predict`, and are not read as nothing."""
    n = accepted = read = 0
    for data in pictures:
        n += 1
        with suppress(InvalidImage):
            accepted += recogniser.predict(data).accepted
        with suppress(InvalidImage):
            read += recogniser.read(data).text != ""
    return {"n": n, "accepted": accepted, "read": read}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=60, help="pictures of each kind that is made; default: 60")
    parser.add_argument("--models", type=Path, default=Path("models"), help="default: models")
    parser.add_argument("--writers", type=Path, help="folder of the other writers' data")
    parser.add_argument("--record", type=Path, help="write the figures to this file")
    args = parser.parse_args(argv)
    generator = np.random.default_rng(SEED)
    letters, doodles = unseen_alphabets(args.writers), drawings("test", args.writers)
    sets: dict[str, Iterable[bytes]] = {
        "letters of unseen alphabets": drawn_on_paper(letters, 1, args.count, generator),
        "five such letters in a row": drawn_on_paper(letters, NUMBER, args.count, generator),
        "doodles": drawn_on_paper(doodles, 1, args.count, generator),
    }
    for made in PAPERS:
        title = f"{made.__name__.replace('_', ' ')}{'' if made is empty_form else ' paper'}"
        sets[title] = [encoded(made(generator)) for _ in range(args.count // 3)]
    try:
        sets |= photographs()
    except ModuleNotFoundError as error:
        print(f"The sample photographs are left out: {error}")
    recogniser = Recogniser(args.models, "cpu")
    rows = {}
    for title, pictures in sets.items():
        rows[title] = row = measure(tqdm(pictures, title), recogniser)
        print(f"{title:36}{row['accepted']:4} accepted {row['read']:4} read, n = {row['n']}", flush=True)
    report = {"seed": SEED, "rows": rows}
    if args.record:
        args.record.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
