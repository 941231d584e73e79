"""The batch in one process, without Ray: threads decode images while the models run."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

from ..settings import Settings
from . import output
from .score import Row, Scorer, look
from .sources import Image, Piece

PART = 1_024  # images in a file of rows, so at most this many are scored again after a kill


def run(pieces: list[Piece], folder: Path, settings: Settings, models: str | None, read: bool) -> None:
    """Score the images that have no row in the folder yet."""
    scorer = Scorer(settings, models, read, settings.threads)
    done = output.paths(folder)
    progress = Progress(len(done))
    images = (image for piece in pieces for image in piece.images(settings.max_bytes) if image.path not in done)
    part = output.next_part(folder)
    with ThreadPoolExecutor(settings.threads) as pool:
        looked = _ahead(pool, partial(look, settings=settings, keep=read), images, 2 * PART if not read else 64)
        while rows := list(islice(looked, PART)):
            output.write(folder, part, scorer.score(rows), scorer.names, read)
            part += 1
            progress.advance(len(rows))


def _ahead(pool: ThreadPoolExecutor, work: partial[Row], images: Iterator[Image], most: int) -> Iterator[Row]:
    """The results of `work` for each image, in order. At most `most` results are computed ahead of their use."""
    pending = [pool.submit(work, image) for image in islice(images, most)]
    while pending:
        yield pending.pop(0).result()
        pending += [pool.submit(work, image) for image in islice(images, 1)]


class Progress:
    """Prints a line to stderr: the number of images done, and images per second."""

    def __init__(self, before: int) -> None:
        self.before, self.done, self.started = before, 0, time.perf_counter()

    def advance(self, images: int) -> None:
        self.done += images
        rate = self.done / (time.perf_counter() - self.started)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{self.before + self.done:,} images, {rate:,.0f} images/s", end=end, file=sys.stderr, flush=True)
