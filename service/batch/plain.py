"""The batch in one process, without Ray: threads decode images, then the models run."""

import sys
import time
from itertools import islice
from pathlib import Path

from ..settings import Settings
from . import output
from .score import Row, Scorer
from .sources import Piece

LOADED = 128  # encoded images in memory at once
PART = 1_024  # images in a file of rows, so at most this many are scored again after a kill


def run(pieces: list[Piece], folder: Path, settings: Settings, models: str | None, read: bool) -> None:
    """Score the images that have no row in the folder yet."""
    scorer = Scorer(settings, models, read, settings.threads)
    done = output.paths(folder)
    progress = Progress(len(done))
    images = (image for piece in pieces for image in piece.images(settings.max_bytes) if image.path not in done)
    part = output.next_part(folder)
    rows: list[Row] = []
    while loaded := list(islice(images, LOADED)):
        rows += scorer.score(loaded)
        progress.advance(len(loaded))
        if len(rows) >= PART:
            output.write(folder, part, rows, scorer.names, read)
            part, rows = part + 1, []
    if rows:
        output.write(folder, part, rows, scorer.names, read)


class Progress:
    """Prints a line to stderr: the number of images done, and images per second."""

    def __init__(self, before: int) -> None:
        self.before, self.done, self.started = before, 0, time.perf_counter()

    def advance(self, images: int) -> None:
        self.done += images
        rate = self.done / (time.perf_counter() - self.started)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{self.before + self.done:,} images, {rate:,.0f} images/s", end=end, file=sys.stderr, flush=True)
