"""The images of files, folders, tar archives (WebDataset) and parquet tables, each under a name of its own.

An image in an archive or a table is named as if that were a folder: `/scans/a.tar/page/7.png`, `/scans/b.parquet/41`.
"""

import glob
import gzip
import io
import os
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMAGES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}  # what is an image in a folder or archive
TABLE, ARCHIVES = ".parquet", (".tar", ".tar.gz", ".tgz")
PIECES = 10_000  # into so many are files divided, if there are enough of them
SMALLEST = 64  # files in a piece


class NoSource(ValueError):
    """A source that names no image; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Image:
    path: str
    data: bytes | None  # encoded; None: it cannot be read
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Images that are read together, one after another: files, an archive, or some rows of a table."""

    paths: tuple[str, ...]
    group: int | None = None  # row group of a table

    def images(self, limit: int) -> Iterator[Image]:
        """Its images. None is held that has more than `limit` bytes. Never raises: what cannot be read has an error."""
        if self.group is not None:
            yield from _rows(self.paths[0], self.group, limit)
        elif self.paths[0].endswith(ARCHIVES):
            yield from _members(self.paths[0], limit)
        else:
            for path in self.paths:
                yield _file(path, limit)


def find(sources: Iterable[str]) -> list[Piece]:
    """Everything that files, folders and globs name, each once, in the order of the names.

    Raises NoSource, and ImportError where there are tables and no pyarrow.
    """
    paths = sorted({path for source in sources for path in _expand(source)})
    pieces, files = [], []
    for path in paths:
        if path.endswith(TABLE):
            pieces += [Piece(paths=(path,), group=group) for group in range(_groups(path))]
        elif path.endswith(ARCHIVES):
            pieces.append(Piece(paths=(path,)))
        else:
            files.append(path)
    size = max(SMALLEST, len(files) // PIECES)
    return [Piece(paths=tuple(files[at : at + size])) for at in range(0, len(files), size)] + pieces


def _expand(source: str) -> list[str]:
    path = Path(source)
    if path.is_dir():
        inside = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
        found = [name for name in inside if Path(name).suffix.lower() in IMAGES or name.endswith((TABLE, *ARCHIVES))]
    elif path.exists():
        found = [source]
    else:
        found = [name for name in glob.iglob(source, recursive=True) if os.path.isfile(name)]
    if not found:
        raise NoSource(f"{source!r} is no file and no folder or pattern with images in it.")
    return [os.path.abspath(name) for name in found]


def _file(path: str, limit: int) -> Image:
    try:
        size = os.path.getsize(path)
        return _sized(path, size, limit) or Image(path=path, data=Path(path).read_bytes())
    except OSError as error:
        return Image(path=path, data=None, error=f"The file cannot be read: {error.strerror}.")


def _sized(path: str, size: int, limit: int) -> Image | None:
    if size <= limit:
        return None
    return Image(path=path, data=None, error=f"The image has {size} bytes; the limit is {limit}.")


def _members(path: str, limit: int) -> Iterator[Image]:
    seen: Counter[str] = Counter()
    end = 0  # of the last member
    try:
        with _opened(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                end = member.offset_data + (-(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE) * member.isreg()
                if not member.isfile() or Path(member.name).suffix.lower() not in IMAGES:
                    continue
                seen[member.name] += 1
                name = os.path.join(path, member.name.lstrip("./"))
                if seen[member.name] > 1:  # a tar archive may hold a name twice
                    name += f"#{seen[member.name]}"
                if too_large := _sized(name, member.size, limit):
                    yield too_large
                elif content := archive.extractfile(member):
                    yield Image(path=name, data=content.read())
            # tarfile ends without an error at a header that is cut off, or is none.
            if file.block(end).strip(b"\0") or len(file.block(end)) < tarfile.BLOCKSIZE:
                raise EOFError("it ends within a header, or without the mark of its end")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        count = f"{seen.total()} image{'s' * (seen.total() != 1)}"
        reason = f"The archive is damaged after {count}: {str(error).rstrip('.')}."
        yield Image(path=path, data=None, error=reason)


class _Tail(io.BufferedIOBase):
    """A file that is read once, from start to end, and remembers its last bytes."""

    KEPT = 4 * tarfile.RECORDSIZE  # bytes; tarfile reads a record at a time

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file, self.given, self.last = file, 0, b""

    def read(self, size: int | None = -1, /) -> bytes:
        data = self.file.read(size)
        self.given += len(data)
        self.last = (self.last + data)[-self.KEPT :]
        return data

    def block(self, offset: int) -> bytes:
        """A block of the archive that was read lately, or as much of it as there is."""
        start = offset - (self.given - len(self.last))
        return self.last[start : start + tarfile.BLOCKSIZE]


@contextmanager
def _opened(path: str) -> Iterator[_Tail]:
    """The file of an archive, decompressed if it is compressed."""
    with open(path, "rb") as file:
        compressed = file.peek(2)[:2] == b"\x1f\x8b"
        yield _Tail(gzip.GzipFile(fileobj=file) if compressed else file)


def _groups(path: str) -> int:
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path).num_row_groups
    except (OSError, ValueError) as error:
        raise NoSource(f"{path!r} is no parquet table: {error}") from error


def _rows(path: str, group: int, limit: int) -> Iterator[Image]:
    """The images of the first column that holds any: bytes, or a struct with `bytes` as Hugging Face has it."""
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path)
        first = sum(table.metadata.row_group(before).num_rows for before in range(group))
        column = _column(table.schema_arrow)
        values = table.read_row_group(group, columns=[column]).column(column).to_pylist()
    except (OSError, ValueError) as error:
        yield Image(path=f"{path}/group-{group}", data=None, error=f"The rows cannot be read: {error}")
        return
    for number, value in enumerate(values, first):
        name, data = f"{path}/{number}", value.get("bytes") if isinstance(value, dict) else value
        if data is None:
            yield Image(path=name, data=None, error="The row has no image.")
        else:
            yield _sized(name, len(data), limit) or Image(path=name, data=data)


def _column(schema: Any) -> str:
    from pyarrow import types

    for field in schema:
        kinds = [inner.type for inner in field.type if inner.name == "bytes"] if types.is_struct(field.type) else []
        for kind in (field.type, *kinds):
            if types.is_binary(kind) or types.is_large_binary(kind):
                return field.name
    raise ValueError(f"no column holds bytes; the columns are: {', '.join(schema.names)}.")
