"""Find the images in files, folders, tar archives (WebDataset) and Parquet tables, and give each a unique path.

The path of an image treats archives and tables like folders: `/scans/a.tar/page/7.png`, `/scans/b.parquet/41`.
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

IMAGES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}  # images in a folder or archive
TABLE, ARCHIVES = ".parquet", (".tar", ".tar.gz", ".tgz")
PIECES = 10_000  # number of pieces that many files are divided into
SMALLEST = 64  # smallest number of files in a piece


class NoSource(ValueError):
    """A source has no image; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Image:
    path: str
    data: bytes | None  # the encoded image; None if it cannot be read
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Images that are read one after another by one task: files, an archive, or a row group of a table."""

    paths: tuple[str, ...]
    group: int | None = None  # the row group; None if it is no table

    def images(self, limit: int) -> Iterator[Image]:
        """The images of this piece. Never raises: an image that cannot be read has an error.

        An image of more than `limit` bytes is not loaded; it has an error too.
        """
        if self.group is not None:
            yield from _rows(self.paths[0], self.group, limit)
        elif self.paths[0].endswith(ARCHIVES):
            yield from _members(self.paths[0], limit)
        else:
            for path in self.paths:
                yield _file(path, limit)


def find(sources: Iterable[str]) -> list[Piece]:
    """Divide the images of files, folders and glob patterns into pieces; each image is in one piece.

    Raises NoSource, and ImportError if there are tables but pyarrow is not installed.
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
        raise NoSource(f"{source!r} is neither a file nor a folder or pattern that contains images.")
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
    end = 0  # offset of the end of the last member, in bytes
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
            # tarfile stops without an error at a header that is cut off or overwritten.
            if file.block(end).strip(b"\0") or len(file.block(end)) < tarfile.BLOCKSIZE:
                raise EOFError("a header is cut off or wrong, or the end marker is missing")
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        count = f"{seen.total()} image{'s' * (seen.total() != 1)}"
        reason = f"The archive is damaged after {count}: {str(error).rstrip('.')}."
        yield Image(path=path, data=None, error=reason)


class _Tail(io.BufferedIOBase):
    """A file that is read once, from start to end, and keeps the bytes that were read last."""

    KEPT = 4 * tarfile.RECORDSIZE  # bytes; tarfile reads a record at a time

    def __init__(self, file: io.BufferedIOBase) -> None:
        self.file, self.given, self.last = file, 0, b""

    def read(self, size: int | None = -1, /) -> bytes:
        data = self.file.read(size)
        self.given += len(data)
        self.last = (self.last + data)[-self.KEPT :]
        return data

    def block(self, offset: int) -> bytes:
        """The block at `offset` in the archive, or the part of it that is among the kept bytes."""
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
        raise NoSource(f"{path!r} is not a Parquet table: {error}") from error


def _rows(path: str, group: int, limit: int) -> Iterator[Image]:
    """The images in the first column of bytes, or of structs with a field `bytes` like those of Hugging Face."""
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
