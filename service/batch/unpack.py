"""Read the images of files, tar archives and Parquet tables: a process with limits, run as a script by sources.Reader.

    python unpack.py SECONDS SILENCE

Files that other people made may claim any size. This process has limits of memory and time, and where a file exceeds
them, the process dies, not the run. It imports nothing of this package, so it starts at once, and no model is in its
memory.

A question on stdin is a line of JSON: parts to read, or the path of a table whose row groups are counted. An answer on
stdout is a line of JSON too, and the bytes of an image may follow it. After each part comes `stop`: null, or the reason
why the rest of the part cannot be read.
"""

import gzip
import io
import json
import math
import os
import signal
import stat
import sys
import tarfile
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote_from_bytes

try:
    import resource
except ImportError:  # Windows cannot limit a process: there, only the sizes of images are limited
    resource = None

IMAGES = {".avif", ".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
TABLE, ARCHIVES = ".parquet", (".tar", ".tar.gz", ".tgz")

# Limits of reading. tests/service/batch/test_sources.py holds ordinary archives and tables that need a tenth of them.
MEMORY = 400_000_000  # bytes, beyond those of the process at rest
PAGES = (
    600_000_000  # bytes more for a table of that size: pyarrow writes 1,024 images to a page, and three pages are held
)
SECONDS = 10  # of processor time for a file, and one more for each megabyte of it
SILENCE = 60  # seconds in which no byte comes of a file
IMAGE = 32  # bytes of an archive or table for each image in it; only repetitions compress to less
FEW = 1_000  # images that a small archive or table may hold all the same
NAME = 4_096  # bytes of a member's name: PATH_MAX of Linux
ROWS = 4  # of a table that are decoded at once


class Stop(Exception):
    """A part cannot be read on; the message is the reason."""


class Part(NamedTuple):
    """What is read as one: a file, an archive, or a row group of a table."""

    path: str  # in the file system
    group: int | None = None  # None: the whole file

    @property
    def is_table(self) -> bool:
        return self.path.endswith(TABLE)

    @property
    def is_archive(self) -> bool:
        return self.path.endswith(ARCHIVES)

    @property
    def id(self) -> str:
        """The path of the row that says why this part cannot be read."""
        return quoted(self.path) + ("" if self.group is None else f"/group-{self.group}")


class Image(NamedTuple):
    path: str
    data: bytes | None  # the encoded image; None if it cannot be read
    error: str | None = None


def quoted(name: str) -> str:
    """The name of a file or member with `%`, `#`, control characters and bytes that are not UTF-8 percent-encoded.

    Its inverse is urllib.parse.unquote_to_bytes.
    """
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Cf: among others, marks that change the direction of text
    return "".join(
        quote_from_bytes(sign.encode(errors="surrogateescape"), safe="")
        if sign in "%#" or unicodedata.category(sign) in hidden
        else sign
        for sign in name
    )


def is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGES


def receive(file: IO[bytes], limit: int) -> tuple[dict[str, Any], bytes | None]:
    """An answer, and the bytes of its image.

    Raises EOFError, and ValueError for what is no answer or an image of more than `limit` bytes.
    """
    if not (line := file.readline(1 << 20)):
        raise EOFError
    answer = json.loads(line)
    if (size := answer.get("size")) is None:
        return answer, None
    if size > limit:
        raise ValueError(f"an image of {size} bytes")
    if len(data := file.read(size)) < size:
        raise EOFError
    return answer, data


def send(file: IO[bytes], answer: dict[str, Any], data: bytes = b"") -> None:
    file.write(json.dumps(answer).encode() + b"\n" + data)
    file.flush()


def main(seconds: int, silence: int) -> None:
    """Answer questions until there are no more. `seconds` and `silence` take the place of SECONDS and SILENCE."""
    global SECONDS, SILENCE
    SECONDS, SILENCE = seconds, silence
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl+C, the run takes care
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    if find_spec("pyarrow"):
        import pyarrow.parquet  # noqa: F401  # now, so that its memory counts as that of rest
    _allow(0)  # before the first file, so that this is the process at rest
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    send(answers, {})
    for line in sys.stdin.buffer:
        question = json.loads(line)
        if "count" in question:
            send(answers, {"stop": None, "groups": _groups(question["count"])})
        for number, part in enumerate(question.get("parts", ())):
            share = len(question["parts"]) if number == 0 else 0  # a table's groups share its time
            send(answers, {"stop": _answer(Part(*part), share, question["limit"], answers)})


def _answer(part: Part, share: int, limit: int, answers: IO[bytes]) -> str | None:
    """Send the images of a part. Returns why it stopped early, or None."""
    try:
        for image in _images(part, share, limit):
            _await(None)  # until the other process has taken the image
            size = {} if image.data is None else {"size": len(image.data)}
            send(answers, {"path": image.path, "error": image.error} | size, image.data or b"")
            _await(SILENCE)
    except (Exception, MemoryError) as error:  # whatever a damaged file makes a library trip over
        return _reason(error)
    finally:
        _await(None)
    return None


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it takes too much memory"
    said = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return quoted(" ".join(said.split())[:300]).rstrip(".")


def _images(part: Part, share: int, limit: int) -> Iterator[Image]:
    _await(SILENCE)
    kind = os.stat(part.path).st_mode
    if stat.S_ISDIR(kind):
        os.listdir(part.path)  # raises the error that it had before
    if not stat.S_ISREG(kind):
        kinds = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
        raise Stop(f"it is a {kinds.get(stat.S_IFMT(kind), 'device')}")
    size = os.path.getsize(part.path)
    if part.is_table:
        _allow(0)
        table = _open(part.path)
        if share:
            _allow(size * share // max(1, table.groups), memory=min(size, PAGES))
        for group in range(table.groups) if part.group is None else [part.group]:
            yield from table.images(group, limit)
    elif part.is_archive:
        _allow(size)
        yield from _members(part.path, limit)
    else:
        _allow(0)
        with open(part.path, "rb") as file:
            yield _image(quoted(part.path), size, file, limit)


def _image(path: str, size: int, file: Any, limit: int) -> Image:
    if size > limit:
        return Image(path, None, f"The image has {size} bytes; the limit is {limit}.")
    return Image(path, file.read(limit))


def _most(path: str) -> int:
    """The number of images that an archive or table may hold."""
    return FEW + os.path.getsize(path) // IMAGE


def _too_many(path: str) -> str:
    return f"it holds more than {_most(path)} images, the most for its {os.path.getsize(path)} bytes"


# Tar archives


def _members(path: str, limit: int) -> Iterator[Image]:
    seen: Counter[str] = Counter()
    most = _most(path)
    end = 0  # offset of the end of the last member, in bytes
    with (
        _opened(path) as file,
        tarfile.open(fileobj=file, mode="r|", encoding="utf-8", errors="surrogateescape") as archive,
    ):
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # else tarfile keeps all of them
            end = member.offset_data + (-(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE) * member.isreg()
            if member.isdir() or not is_image(member.name):
                continue
            if len(member.name.encode(errors="surrogateescape")) > NAME:
                raise Stop(f"the name of a member has more than {NAME} bytes")
            if most == 0:
                raise Stop(_too_many(path))
            most -= 1
            seen[member.name] += 1
            again = f"#{seen[member.name]}" if seen[member.name] > 1 else ""  # an archive may hold a name twice
            yield _member(archive, member, f"{quoted(path)}/{quoted(member.name)}{again}", limit)
        # tarfile stops without an error at a header that is cut off or overwritten, and behind the first of several
        # archives in one file.
        if len(rest := file.rest(end)) < tarfile.BLOCKSIZE or rest.strip(b"\0"):
            raise Stop("a header is cut off or wrong, or the end marker is missing")
        while rest := file.read(tarfile.RECORDSIZE):
            if rest.strip(b"\0"):
                raise Stop("something follows its end marker")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, limit: int) -> Image:
    if member.issym() or member.islnk():
        target = quoted(member.linkname[:NAME])
        return Image(path, None, f"The member is a link to {target}; links in archives are not followed.")
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        return Image(path, None, "The member is not a file.")
    if member.size > limit and not member.issparse():
        while content.read(tarfile.RECORDSIZE):  # where the archive ends before it, the archive has the error
            pass
    return _image(path, member.size, content, limit)


class _Tail(io.BufferedIOBase):
    """A file that is read once, from start to end, and keeps the bytes that were read last."""

    KEPT = 4 * tarfile.RECORDSIZE  # bytes; tarfile reads a record at a time

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file, self.given, self.last, self.ended = file, 0, b"", False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.ended:  # without this, tarfile goes on for as long as a header claims
            raise EOFError("unexpected end of data")
        _await(SILENCE)
        data = self.file.read(size)
        self.ended = not data
        self.given += len(data)
        self.last = (self.last + data)[-self.KEPT :]
        return data

    def rest(self, offset: int) -> bytes:
        """What was read from `offset` in the archive on, or the part of it that is kept."""
        return self.last[max(0, offset - (self.given - len(self.last))) :]


@contextmanager
def _opened(path: str) -> Iterator[_Tail]:
    """The file of an archive, decompressed if it is compressed."""
    with open(path, "rb") as file:
        compressed = file.peek(2)[:2] == b"\x1f\x8b"
        yield _Tail(gzip.GzipFile(fileobj=file) if compressed else file)


# Parquet tables


class _Table:
    """A Parquet table with images in a column of bytes, or of structs with a field `bytes` like those of Hugging Face.

    The first such column counts. Raises Stop, and what pyarrow raises for a file that is damaged or no table.
    """

    def __init__(self, path: str) -> None:
        from pyarrow import parquet

        # With a buffer, a column is not loaded as a whole.
        self.file = parquet.ParquetFile(path, buffer_size=1 << 16, pre_buffer=False)
        metadata = self.file.metadata
        self.groups = metadata.num_row_groups
        if max(self.groups, metadata.num_rows) > _most(path):
            raise Stop(_too_many(path))
        self.path, self.column = path, _column(self.file.schema_arrow)
        self.ends = [0, *accumulate(metadata.row_group(group).num_rows for group in range(self.groups))]
        if self.ends != sorted(self.ends) or self.ends[-1] != metadata.num_rows:
            raise Stop("its numbers of rows contradict each other")

    def images(self, group: int, limit: int) -> Iterator[Image]:
        """The images of a row group."""
        number, end = self.ends[group : group + 2]
        for batch in self.file.iter_batches(ROWS, row_groups=[group], columns=[self.column], use_threads=False):
            for value in batch.column(0):
                if number == end:
                    raise Stop("it has more rows than it says")
                found = value.as_py()
                data = found["bytes"] if isinstance(found, dict) else found
                path = f"{quoted(self.path)}/{number}"
                yield (
                    Image(path, None, "The row has no image.")
                    if data is None
                    else _image(path, len(data), io.BytesIO(data), limit)
                )
                number += 1
        if number < end:
            raise Stop("it has fewer rows than it says")


def _column(schema: Any) -> str:
    """The path of the column of images."""
    from pyarrow import types

    def is_bytes(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    for field in schema:
        if is_bytes(field.type):
            return field.name
        if types.is_struct(field.type) and any(inner.name == "bytes" and is_bytes(inner.type) for inner in field.type):
            return f"{field.name}.bytes"
    raise Stop(f"no column holds bytes; the columns are: {', '.join(schema.names)}")


@lru_cache(maxsize=1)  # its groups are asked for one after another
def _open(path: str) -> _Table:
    return _Table(path)


def _groups(path: str) -> int | None:
    """The number of row groups of a table; None if it cannot be opened."""
    try:
        _allow(0)
        _await(SILENCE)
        return _open(path).groups if stat.S_ISREG(os.stat(path).st_mode) else None
    except (Exception, MemoryError):
        return None
    finally:
        _await(None)


# Limits


@cache
def _rest() -> int | None:
    """The bytes of memory that the process has at rest, as RLIMIT_DATA counts them; None where it cannot be said."""
    status = Path("/proc/self/status")  # macOS has none, and enforces no limit either
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmData:")), None)


def _allow(size: int, memory: int = 0) -> None:
    """From now on, the process may take the processor time for `size` bytes; then it dies of SIGXCPU.

    memory: bytes beyond MEMORY that it may take; then it gets MemoryError, or dies.
    """
    if resource:
        seconds = math.ceil(time.process_time()) + SECONDS + size // 1_000_000
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    if resource and (rest := _rest()) is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (rest + MEMORY + memory, resource.RLIM_INFINITY))


def _await(seconds: int | None) -> None:
    """From now on, the process may live for so long until it is called again; then it dies of SIGALRM."""
    if resource:
        signal.alarm(seconds or 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
