"""Find the images in files, folders, tar archives (WebDataset) and Parquet tables, and give each a unique path.

A path treats archives and tables like folders: `/scans/a.tar/page/7.png`, `/scans/b.parquet/41`. It leads back to the
image: names are kept in full (`/scans/a.tar/../7.png`), `#2` follows the second member of one name, and `%`, `#`,
control characters and bytes that are not UTF-8 are percent-encoded (urllib.parse.unquote_to_bytes gives the name).
"""

import glob
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

from . import unpack
from .unpack import Image, Part, is_image

PIECES = 10_000  # number of pieces that many files are divided into
SMALLEST = 64  # smallest number of files in a piece
PIECE = 16_000_000  # bytes of a table in one piece, about

Piece = tuple[Part, ...]  # read one after another by one task: files, an archive, or row groups of one table


class Died(Exception):
    """The reading process ended; the message is the reason."""


def find(sources: Iterable[str], reader: "Reader") -> list[Piece]:
    """Divide the images of files, folders and glob patterns into pieces; each image is in one piece.

    Raises ValueError for a source without images, and ImportError if there are tables but pyarrow is not installed.
    """
    pieces: list[Piece] = []
    files: list[Part] = []
    for path in sorted({path for source in sources for path in _expand(source)}):
        part = Part(path)
        if part.is_table:
            if not find_spec("pyarrow"):
                raise ImportError(f"{path!r} is a Parquet table, but pyarrow is not installed")
            pieces += _split(part, reader.groups(path))
        elif part.is_archive:
            pieces.append((part,))
        else:
            files.append(part)
    size = max(SMALLEST, len(files) // PIECES)
    return [tuple(files[at : at + size]) for at in range(0, len(files), size)] + pieces


def _split(table: Part, groups: int | None) -> list[Piece]:
    """The pieces of a table with so many row groups; None: it cannot be opened, and gets a row that says why."""
    if groups is None:
        return [(table,)]
    size = -(-groups // max(1, os.path.getsize(table.path) // PIECE))
    parts = [Part(table.path, group) for group in range(groups)]
    return [tuple(parts[at : at + size]) for at in range(0, groups, size)]


def _expand(source: str) -> list[str]:
    """The files that a source stands for. Folders that cannot be listed are among them, and get a row with an error."""
    if os.path.isdir(source):
        refused: list[OSError] = []
        inside = (
            os.path.join(folder, name) for folder, _, names in os.walk(source, onerror=refused.append) for name in names
        )
        found = [name for name in inside if is_image(name) or Part(name).is_table or Part(name).is_archive]
        found += [os.fspath(error.filename) for error in refused]
    elif os.path.lexists(source):
        found = [source]
    else:
        found = [name for name in glob.iglob(source, recursive=True) if not os.path.isdir(name)]
    if not found:
        raise ValueError(f"{source!r} is neither a file nor a folder or pattern that contains images.")
    return [os.path.abspath(name) for name in found]


class Reader:
    """A process that reads images (unpack.py). It is started when it is needed, and again after it died."""

    def __init__(self, limit: int, seconds: int = unpack.SECONDS, silence: int = unpack.SILENCE) -> None:
        """limit: bytes of the largest image that is loaded; a larger one has an error.

        seconds: of processor time that a small file may take; silence: seconds in which no byte comes of a file.
        """
        self.limit = limit
        self._command = [sys.executable, "-P", unpack.__file__, str(seconds), str(silence)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def images(self, piece: Piece) -> Iterator[Image]:
        """The images of a piece. What cannot be read has an error: an image, or the rest of a part.

        Raises RuntimeError if the process does not start.
        """
        while piece:
            at, count = 0, 0  # the part that is being read, and how many of its images were
            try:
                for answer, data in self._ask({"parts": piece, "limit": self.limit}, len(piece)):
                    if "stop" not in answer:
                        count += 1
                        yield Image(answer["path"], data, answer["error"])
                        continue
                    if answer["stop"]:
                        yield _stopped(piece[at], count, answer["stop"])
                    at, count = at + 1, 0
                return
            except Died as died:
                if not count or piece[at].is_table or piece[at].is_archive:  # or the only image was read before
                    yield _stopped(piece[at], count, str(died))
            piece = piece[at + 1 :] if piece[at].group is None else ()  # one death is enough for a table

    def groups(self, path: str) -> int | None:
        """The number of row groups of a table; None if it cannot be opened."""
        try:
            return [answer["groups"] for answer, _ in self._ask({"count": path}, 1)][0]
        except Died:
            return None

    def _ask(self, question: dict[str, Any], stops: int) -> Iterator[tuple[dict[str, Any], bytes | None]]:
        """All answers until the last `stop`, with the bytes of their images. Raises Died."""
        process = self._process or self._start()
        try:
            assert process.stdin and process.stdout
            unpack.send(process.stdin, question)
            while stops:
                answer, data = unpack.receive(process.stdout, self.limit)
                stops -= "stop" in answer
                yield answer, data
        except (OSError, EOFError, ValueError) as error:
            raise Died(_cause(process)) from error
        finally:
            if stops:  # also if nobody wants the other answers
                self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        # Arrow's other memory pools reserve more than the limit.
        environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
        self._process = process = subprocess.Popen(
            self._command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert process.stdout
            unpack.receive(process.stdout, 0)
        except (EOFError, ValueError) as error:
            self._end()
            raise RuntimeError(f"The process that reads images did not start: {' '.join(self._command)}") from error
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def _stopped(part: Part, count: int, reason: str) -> Image:
    many = part.is_table or part.is_archive
    said = f"Reading stopped after {count} image{'s' * (count != 1)}" if many else "The file cannot be read"
    return Image(part.id, None, f"{said}: {reason}.")


def _cause(process: subprocess.Popen[bytes]) -> str:
    """Why a process ended that was not told to."""
    try:
        status = process.wait(1)
    except subprocess.TimeoutExpired:
        return "the process that reads it gave a wrong answer"
    if status == -getattr(signal, "SIGXCPU", 0):
        return "it takes too much processor time"
    if status == -getattr(signal, "SIGALRM", 0):
        return "no byte of it comes"
    return f"the process that read it ended with status {status}"
