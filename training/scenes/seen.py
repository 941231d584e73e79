"""What the models see of photographs: 28x28 pixels, made by the service's own `canonicalise` and its ink network.

No digits are photographs of things (TrashNet, MIT; Debian's wallpapers, CC BY and CC BY-SA), textures that are made
here, and drawings, letters and marred digits on made paper. Digits on made paper are digits, so that nothing counts as
foreign because it comes from a photograph. A picture takes about 30 ms, so they are made once and kept.
"""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from service.inference.artefact import open_finder
from service.picture.digit import canonicalise
from service.picture.errors import BlankImage
from service.picture.framing import frame
from service.picture.ink import FILE as INK
from service.picture.ink import InkFinder
from training.data import drawings, glyphs, mnist, omniglot, things, uji, unipen
from training.data.writers import SPLITS, Source, check_split, existing
from training.recipe import NONE
from training.scenes import camera, marred, paper, pens, printed

COUNTS = {"photograph": 5_000, "texture": 1_500, "drawn": 4_000, "digit": 6_000}  # pictures of the training split
HELD_OUT = 0.12  # as many, as a share of COUNTS, to validate, and to test
LIKE = 0.8  # least correlation of what is seen with what was written: below it, only a part of it was found
STRAIGHT = 0.15  # breadth over length below which an upright stroke cannot be told from a 1
SIZES = 48, 256  # pixels of a picture's longer side
SEED = 0
FOLDER = Path("data/seen")

Generator = np.random.Generator


def load(split: str) -> Source:
    """The pictures of a split, digits and non-digits. Raises FileNotFoundError if they have not been made."""
    check_split(split)
    with np.load(existing(FOLDER / f"{split}.npz")) as file:
        images, labels, kinds = (file[name] for name in ("images", "labels", "kinds"))
    return Source(partial(mnist.take, images), labels, kinds, np.arange(len(labels)))


def make(models: Path, root: Path | str | None = None, writers: Path | str | None = None) -> bool:
    """Make the pictures of all splits, unless it has been done with this ink network. Returns whether it did.

    models: the folder of the ink network; root: of MNIST; writers: of the other sources. It takes a quarter of an hour.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    made_with, sha256 = FOLDER / "ink.sha256", hashlib.sha256((models / INK).read_bytes()).hexdigest()
    if made_with.exists() and made_with.read_text() == sha256:
        return False
    finder = open_finder(models / INK)
    for split in SPLITS:
        made: dict[str, Any] = Making(split, root, writers, finder).make()
        np.savez_compressed(FOLDER / f"{split}.npz", **made)
    made_with.write_text(sha256)
    return True


class Making:
    """The pictures of one split while they are made.

    `photograph`, `texture`, `drawn` and `digit` each return a picture (H, W) uint8, the ink that was written in it
    (H, W) uint8 or None, and its label.
    """

    def __init__(self, split: str, root: Path | str | None, writers: Path | str | None, finder: InkFinder) -> None:
        self.split, self.finder = split, finder
        self.generator = np.random.default_rng([SEED, SPLITS.index(split)])
        self.photographs = list(things.photographs(split, writers).values())
        self.digits = (
            *(mnist.digits(split, root), unipen.digits(split, writers), uji.digits(split, writers)),
            marred.styled(split, root),
        )
        self.others = (
            *(unipen.letters(split, writers), omniglot.letters(split, writers), drawings.symbols(split, writers)),
            *(drawings.doodles(split, writers), drawings.gestures(split, writers), glyphs.typed(split, writers)),
            marred.pictures(split, root, writers),
        )

    def make(self) -> dict[str, np.ndarray]:
        """Images (N, 28, 28) uint8, labels (N,) int64 and kinds (N,) str."""
        images, labels, kinds = [], [], []
        share = 1 if self.split == "train" else HELD_OUT
        for kind, count in COUNTS.items():
            for _ in tqdm(range(round(share * count)), f"{kind}s to {self.split}", mininterval=5):
                picture, written, label = getattr(self, kind)()
                image = self.seen(picture, written)
                if image is not None:
                    images.append(image)
                    labels.append(label)
                    kinds.append(kind)
        return {"images": np.stack(images), "labels": np.array(labels, np.int64), "kinds": np.array(kinds)}

    def seen(self, picture: np.ndarray, written: np.ndarray | None) -> np.ndarray | None:
        """What the models see; None if that is nothing, not what was written, or where nobody wrote, like a 1."""
        try:
            image = canonicalise(picture, self.finder).image
        except BlankImage:
            return None
        if written is None:
            return None if is_upright_stroke(image) else image
        if not (written > 127).any():
            return None
        true = frame(written.astype(np.float32), written > 127)[0]
        return image if np.corrcoef(true.ravel(), image.ravel())[0, 1] >= LIKE else None

    def photograph(self) -> tuple[np.ndarray, None, int]:
        """A cut of any size of a photograph, lighter or darker, sharper or blurred."""
        picture = self.photographs[self.generator.integers(len(self.photographs))]
        side = self.generator.uniform(0.25, 1, 2) ** 0.5 * picture.shape
        top, left = (self.generator.uniform(0, 1, 2) * (picture.shape - side)).astype(int)
        cut = picture[top : top + int(side[0]), left : left + int(side[1])]
        return self.developed(cut), None, NONE

    def texture(self) -> tuple[np.ndarray, None, int]:
        side = self.size()
        sheet = paper.sheet((side, side), self.generator)
        if self.generator.random() < 0.5:
            sheet = printed.on_paper(sheet, [], self.generator.uniform(0.05, 0.5) * side, self.generator)
            sheet = printed.things(sheet, self.generator)
        else:
            kind = TEXTURES[self.generator.integers(len(TEXTURES))]
            sheet = sheet * (1 - self.generator.uniform(0.2, 0.9) * kind(side, self.generator))
        picture, _ = camera.photographed(sheet.astype(np.float32), np.zeros((side, side), np.uint8), self.generator)
        return picture, None, NONE

    def drawn(self) -> tuple[np.ndarray, np.ndarray, int]:
        return self.on_paper(self.others[self.generator.integers(len(self.others))])

    def digit(self) -> tuple[np.ndarray, np.ndarray, int]:
        return self.on_paper(self.digits[self.generator.integers(len(self.digits))])

    def on_paper(self, source: Source) -> tuple[np.ndarray, np.ndarray, int]:
        """A picture of one drawing of a source on paper or on a screen, its ink, and its label."""
        row = self.generator.integers(len(source))
        (image,) = source.draw(np.array([row]), self.generator)
        side = self.size()
        height = side * math.exp(self.generator.uniform(math.log(0.2), math.log(0.95)))
        drawn = pens.bitmap(image, height, self.generator.uniform(0.04, 0.2))
        drawn = drawn[:side, :side]
        ink = np.zeros((side, side), np.uint8)
        top, left = (self.generator.uniform(0, 1, 2) * (np.array(ink.shape) - drawn.shape)).astype(int)
        ink[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
        if self.generator.random() < 0.25:
            sheet = np.full(ink.shape, self.generator.uniform(150, 255), np.float32)
            sheet *= 1 - self.generator.uniform(0.6, 1) * (ink / np.float32(255))
            return camera.on_screen(sheet, self.generator), ink, int(source.labels[row])
        sheet = paper.sheet(ink.shape, self.generator)
        box = np.array([left, top, left + drawn.shape[1], top + drawn.shape[0]], np.float32)
        sheet = printed.on_paper(sheet, [box], height, self.generator)
        sheet = paper.with_ink(sheet, ink, self.generator)
        picture, ink = camera.photographed(sheet, ink, self.generator)
        return picture, ink, int(source.labels[row])

    def size(self) -> int:
        return int(math.exp(self.generator.uniform(*np.log(SIZES))))

    def developed(self, picture: np.ndarray) -> np.ndarray:
        """The picture with other levels, size and sharpness, at times turned or negative."""
        dice = self.generator.random
        picture = np.rot90(picture, int(self.generator.integers(4))) if dice() < 0.5 else picture
        side = math.exp(self.generator.uniform(math.log(20), math.log(300)))
        fit = side / max(picture.shape)
        size = [max(8, round(fit * length)) for length in picture.shape[::-1]]
        way = cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC
        levels = cv2.resize(np.ascontiguousarray(picture), size, interpolation=way).astype(np.float32) / 255
        levels = levels.clip(0, 1) ** math.exp(self.generator.normal(0, 0.4))
        levels = (levels - 0.5) * self.generator.uniform(0.5, 1.3) + self.generator.uniform(0.35, 0.65)
        if dice() < 0.25:
            levels = 1 - levels
        if dice() < 0.2:
            levels = cv2.GaussianBlur(levels, (0, 0), self.generator.uniform(0.5, 2))
        if dice() < 0.3:
            levels += self.generator.uniform(0.01, 0.05) * self.generator.standard_normal(levels.shape, np.float32)
        return (levels * 255).clip(0, 255).astype(np.uint8)


def is_upright_stroke(image: np.ndarray) -> bool:
    """Whether the ink of an image (28, 28) is one straight stroke, less than 60 degrees from upright."""
    y, x = np.nonzero(image > 100)
    if len(x) < 3:
        return True
    values, vectors = np.linalg.eigh(np.cov(x, y))
    return bool(math.sqrt(max(values[0], 0) / values[1]) < STRAIGHT and abs(vectors[1, 1]) > 0.5)


# Textures (side, side) float32, 0 to 1: what is dark in them.


def _fur(side: int, generator: Generator) -> np.ndarray:
    """Hairs: noise that is smeared along a direction which changes slowly."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    angle = generator.uniform(0, np.pi) + generator.uniform(0, 0.6) * paper.noise((side, side), side / 2, generator)
    hairs, length = np.zeros((side, side), np.float32), side * generator.uniform(0.02, 0.12)
    strands = paper.noise((side, side), generator.uniform(0.6, 3), generator)
    for step in np.linspace(-length, length, 9):
        along = (x + step * np.cos(angle)).astype(np.float32), (y + step * np.sin(angle)).astype(np.float32)
        hairs += cv2.remap(strands, *along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return _soft(hairs, generator)


def _cells(side: int, generator: Generator) -> np.ndarray:
    """Stones, scales, bricks, leaves of a tree: the seams between the nearest and the next of some points."""
    count = int(generator.integers(4, 60))
    points = generator.uniform(0, side, (count, 2))
    y, x = np.mgrid[:side, :side].astype(np.float32)
    wide = generator.uniform(0.4, 1)
    away = np.sqrt(((x[None] - points[:, 0, None, None]) * wide) ** 2 + (y[None] - points[:, 1, None, None]) ** 2)
    nearest = np.partition(away, 1, axis=0)[:2]
    seam = np.exp(-(nearest[1] - nearest[0]) / (side * generator.uniform(0.005, 0.04)))
    if generator.random() < 0.4:  # each cell has its own level
        return np.maximum(seam, generator.uniform(0, 1, count)[away.argmin(0)]).astype(np.float32)
    return seam.astype(np.float32)


def _stripes(side: int, generator: Generator) -> np.ndarray:
    """Stripes or checks, seen at any angle, bent."""
    y, x = np.mgrid[:side, :side].astype(np.float32)
    angle, period = generator.uniform(0, np.pi), side * math.exp(generator.uniform(math.log(0.03), math.log(0.5)))
    bend = generator.uniform(0, 0.5) * period * paper.noise((side, side), side / 3, generator)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    waves = np.sin(2 * np.pi * (along + bend) / period)
    if generator.random() < 0.4:
        waves = waves * np.sin(2 * np.pi * (across + bend) / period)
    return (waves > generator.uniform(-0.5, 0.9)).astype(np.float32)


def _branches(side: int, generator: Generator) -> np.ndarray:
    """Twigs, veins, cracks, wires: curves that part."""
    dark = np.zeros((side, side), np.uint8)
    ends = [(generator.uniform(0, side, 2), generator.uniform(0, 7), generator.uniform(0.01, 0.05) * side)]
    for _ in range(int(generator.integers(3, 25))):
        start, angle, broad = ends[generator.integers(len(ends))]
        turns = angle + np.cumsum(generator.normal(0, 0.25, 14))
        points = start + np.cumsum(side / 25 * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
        thick = max(1, round(broad))
        pens.curve(dark, points, thick)
        ends += [(points[at], turns[at] + generator.normal(0, 0.8), 0.75 * broad) for at in (5, 13)]
    return dark / np.float32(255)


def _blobs(side: int, generator: Generator) -> np.ndarray:
    """Spots, clouds, shadows of leaves, a camouflage."""
    return _soft(paper.noise((side, side), side * math.exp(generator.uniform(-3.5, -0.7)), generator), generator)


def _rings(side: int, generator: Generator) -> np.ndarray:
    """Lids, eyes, wheels and nuts: rings in rings, with spokes or a pupil."""
    dark = np.zeros((side, side), np.uint8)
    for _ in range(int(generator.integers(1, 4))):
        x, y = (generator.uniform(0.1, 0.9, 2) * side).astype(int)
        radius, flat = side * generator.uniform(0.1, 0.45), generator.uniform(0.5, 1)
        for part in (1.0, *generator.uniform(0.1, 0.85, generator.integers(1, 4))):
            axes = round(part * radius), round(part * radius * flat)
            thick = int(generator.integers(1, 3 + side // 30))
            whole = generator.random() < 0.2
            level = int(generator.integers(80, 256))
            cv2.ellipse(dark, (int(x), int(y)), axes, 0, 0, 360, level, -1 if whole else thick, cv2.LINE_AA)
    return dark / np.float32(255)


def _soft(values: np.ndarray, generator: Generator) -> np.ndarray:
    """Values with a more or less sharp edge at a level, 0 to 1."""
    steep, level = math.exp(generator.uniform(0, 2)), generator.uniform(-0.5, 1.2)
    return 1 / (1 + np.exp(-steep * ((values - values.mean()) / max(float(values.std()), 1e-6) - level)))


TEXTURES: tuple[Callable[[int, Generator], np.ndarray], ...] = _fur, _cells, _stripes, _branches, _blobs, _rings
