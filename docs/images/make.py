"""Make the pictures of docs/reading.md from examples/: python docs/images/make.py."""

import base64
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from service.reading.line import STEP
from service.reading.looks import Looks
from service.reading.reader import characters_of, page_ink
from service.recogniser import Recogniser

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
HEIGHT = 200  # pixels of a panel
BOX = 40, 40, 200  # blue, green, red
LARGER = 4  # a line is shown so many times as large


def panel(picture: np.ndarray, title: str) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) uint8 under its title, HEIGHT pixels high, with a margin."""
    colours = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
    width = max(1, round(HEIGHT * colours.shape[1] / colours.shape[0]))
    shrinks = HEIGHT < len(colours)
    large = cv2.resize(colours, (width, HEIGHT), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    head = np.full((26, max(width, 10 * len(title)), 3), 255, np.uint8)
    cv2.putText(head, title, (2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return cv2.copyMakeBorder(np.concatenate([head, wide(large, head.shape[1])]), *[8] * 4, 0, value=[255] * 3)


def wide(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture with white at its right, so that it is `width` pixels wide."""
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=255)


def pixels(url: str) -> np.ndarray:
    """A data: URL of a grey PNG to (H, W) uint8."""
    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


def shown(path: Path) -> np.ndarray:
    """An upload as people see it, transparent parts on white: (H, W, 3) uint8, blue, green, red."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGBA")
    paper = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(paper, image).convert("RGB"))[..., ::-1].copy()


def steps(recogniser: Recogniser, path: Path) -> np.ndarray:
    """An upload, its ink and the 28x28 pixels that the networks see."""
    explained = recogniser.predict(path, explain=True).explain
    assert explained is not None and explained.ink is not None
    upload, ink, image = shown(path), pixels(explained.ink), pixels(explained.image)
    return np.concatenate([panel(upload, "upload"), panel(255 - ink, "ink"), panel(image, "28x28")], 1)


def page(recogniser: Recogniser, path: Path) -> np.ndarray:
    """A page with the box of each digit, and below the 28x28 pixels of each."""
    picture, marks = shown(path), recogniser.read(path, explain=True).digits
    for mark in marks:
        x, y, right, bottom = (round(side) for side in mark.box)
        thick = max(2, picture.shape[1] // 400)
        cv2.rectangle(picture, (x, y), (right, bottom), BOX, thick)
        cv2.putText(picture, str(mark.digit), (x, max(y - 6, 20)), cv2.FONT_HERSHEY_SIMPLEX, 1.0, BOX, thick)
    below = np.concatenate([panel(pixels(mark.image or ""), str(mark.digit)) for mark in marks], 1)
    above = panel(picture, "page")
    width = max(above.shape[1], below.shape[1])
    return np.concatenate([wide(above, width), wide(below, width)])


def lines(recogniser: Recogniser, path: Path) -> np.ndarray:
    """Each line of a page as the line recogniser sees it, and what it reads where."""
    grey = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("L"))
    models = recogniser.predictor
    ink, scale = page_ink(grey, models.finder)
    found = characters_of(grey, ink, scale, Looks(models, recogniser.names, None)).characters
    shown = []
    for _, group in groupby(found, key=lambda one: id(one.strip)):
        marks = list(group)
        strip = cv2.cvtColor(marks[0].strip.grey, cv2.COLOR_GRAY2BGR)
        large = cv2.resize(strip, None, fx=LARGER, fy=LARGER, interpolation=cv2.INTER_NEAREST)
        below = np.full((40, large.shape[1], 3), 255, np.uint8)
        for one in marks:
            x = round((one.character.step + 0.5) * STEP * LARGER) - 8
            cv2.putText(below, one.character.sign, (x, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.9, BOX, 2, cv2.LINE_AA)
        shown.append(np.concatenate([large, below]))
    width = max(line.shape[1] for line in shown)
    return np.concatenate([wide(line, width) for line in shown])


def main() -> None:
    recogniser = Recogniser(device="cpu")
    for name in ("three.jpg", "two.png"):
        cv2.imwrite(str(HERE / f"steps-{Path(name).stem}.png"), steps(recogniser, EXAMPLES / name))
    cv2.imwrite(str(HERE / "read.png"), page(recogniser, EXAMPLES / "number.jpg"))
    cv2.imwrite(str(HERE / "lines.png"), lines(recogniser, EXAMPLES / "number.jpg"))


if __name__ == "__main__":
    main()
