"""Read one digit, or whole pages, from any number of images, and write one row of Parquet for each image.

quintet batch scans/ more.tar 'years/**/*.png' --out results
quintet batch photographs.parquet --out results --read
quintet batch /mnt/scans --out /mnt/results --address auto

A folder stands for all images, tar archives and Parquet tables below it. What cannot be read gets a row with an error.
If the command was stopped, call it again to continue; no image is lost or read twice. If Ray Data is installed (extra
`batch`), it does the work on this machine or on the cluster at --address. Otherwise one process does, with the same
rows.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .sources import Reader, find
from .unpack import Image

if TYPE_CHECKING:
    from ..settings import Settings
    from .output import Row

LOADED = 128  # encoded images in memory at once
MEMORY = 64_000_000  # bytes of them, unless one alone has more
PART = 1_024  # images in a file of rows, so at most this many are scored again after a kill


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file, folder, pattern, tar archive or Parquet table"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder for the rows")
    parser.add_argument("--read", action="store_true", help="also read whole pages: text, transcript, note and boxes")
    parser.add_argument("--models", help="names separated by commas; default: all")
    parser.add_argument("--engine", choices=["ray", "plain"], help="default: ray if it is installed")
    parser.add_argument(
        "--workers", type=int, help="number of Ray actors; default: one for each GPU, or for each core but one"
    )
    parser.add_argument("--address", help="address of a Ray cluster; default: Ray on this machine")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit status, which is 0 even if some images could not be read.

    Raises ValueError, RuntimeError, OSError and ImportError with one sentence for people.
    """
    from .. import __version__
    from .. import settings as environment
    from ..inference.consensus import load_consensus
    from . import output

    engine = arguments.engine or ("ray" if find_spec("ray") and find_spec("pyarrow") else "plain")
    if engine == "ray" and not find_spec("ray"):
        raise ImportError("Ray is not installed")
    settings = environment.load()
    about = {
        "version": __version__,
        "sha256": load_consensus(settings.models).sha256,
        "models": arguments.models,
        "read": arguments.read,
        "engine": engine,
    }
    with output.opened(arguments.out, about), Reader(settings.max_bytes) as reader:
        pieces = find(arguments.sources, reader)
        if engine == "ray":
            from . import cluster

            cluster.run(pieces, arguments, settings)
        else:
            images = (image for piece in pieces for image in reader.images(piece))
            _run(images, arguments, settings)
        rows, damaged = output.count(arguments.out)
    print(f"{rows:,} rows in {arguments.out}, {damaged:,} of them with an error", file=sys.stderr)
    return 0


def _run(images: Iterator[Image], arguments: argparse.Namespace, settings: "Settings") -> None:
    """Without Ray: score the images that have no row in the folder yet. The models' threads decode them too."""
    from . import output

    scorer = output.Scorer(settings, arguments.models, arguments.read, settings.threads)
    done = output.paths(arguments.out)
    started, scored = time.perf_counter(), 0
    end = "\r" if sys.stderr.isatty() else "\n"
    part = output.next_part(arguments.out)
    rows: list[Row] = []
    for loaded in _loads(image for image in images if image.path not in done):
        rows += scorer.score(loaded)
        scored += len(loaded)
        rate = scored / (time.perf_counter() - started)
        print(f"{len(done) + scored:,} images, {rate:,.0f} images/s", end=end, file=sys.stderr, flush=True)
        if len(rows) >= PART:
            output.write(arguments.out, part, rows, scorer.names, arguments.read)
            part, rows = part + 1, []
    if rows:
        output.write(arguments.out, part, rows, scorer.names, arguments.read)


def _loads(images: Iterable[Image]) -> Iterator[list[Image]]:
    """The images in lists of at most LOADED and, but for a single one, MEMORY bytes."""
    loaded: list[Image] = []
    size = 0
    for image in images:
        more = len(image.data or b"")
        if loaded and (len(loaded) == LOADED or size + more > MEMORY):
            yield loaded
            loaded, size = [], 0
        loaded.append(image)
        size += more
    if loaded:
        yield loaded
