"""The folder of results: Parquet files of rows, and a record of the models and options that made them."""

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

ABOUT = "_quintet.json"  # readers of a folder of Parquet files skip names that begin with "_"
LOCK = "_lock"
TEMPORARY = "_part"


class OtherRun(ValueError):
    """The folder holds other files, or results of other models or options; the message says which."""


def has_parquet() -> bool:
    """Whether pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True


def schema(names: list[str], read: bool) -> "pyarrow.Schema":
    """The columns of a row."""
    import pyarrow as pa

    digits = [pa.field(name, pa.int8()) for name in names]
    text = [pa.field("text", pa.string()), pa.field("boxes", pa.list_(pa.list_(pa.float32(), 4)))] if read else []
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("digit", pa.int8()),
            pa.field("confidence", pa.float32()),
            pa.field("accepted", pa.bool_()),
            pa.field("reason", pa.string()),
            pa.field("agreement", pa.int8()),
            *digits,
            *text,
            pa.field("error", pa.string()),
        ]
    )


@contextmanager
def opened(folder: Path, about: dict[str, Any]) -> Iterator[None]:
    """Create the folder, or continue in it, and keep other runs out of it until the end.

    Raises OtherRun if another run is writing into it, or unless it was started with the same `about`; OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ABOUT
    if not path.exists() and any(entry.name not in (LOCK, TEMPORARY) for entry in folder.iterdir()):
        raise OtherRun(f"{folder} holds files that are not results of `quintet batch`; choose another folder.")
    with (folder / LOCK).open("a") as lock:
        if not _locked(lock):
            raise OtherRun(f"Another `quintet batch` is writing into {folder}; wait for it or choose another folder.")
        if not path.exists():
            _replace(path, json.dumps(about, indent=1).encode())
        before = json.loads(path.read_bytes())
        for key in about:
            if before.get(key) != about[key]:
                raise OtherRun(
                    f"{folder} was started with {key} = {before.get(key)!r}, not {about[key]!r}; choose another folder."
                )
        yield


def _locked(file: IO[str]) -> bool:
    """Lock a file until it is closed or this process ends. Returns False if another process has locked it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.ENOTSUP):  # some network file systems have no locks
            return True
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def paths(folder: Path) -> set[str]:
    """The paths of the images that already have a row."""
    return {row["path"] for row in rows(folder, ["path"])}


def rows(folder: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """All rows of a folder of results."""
    for path in sorted(folder.glob("*.parquet")):
        from pyarrow import parquet

        yield from parquet.read_table(path, columns=columns).to_pylist()
    for path in sorted(folder.glob("*.jsonl")):
        yield from map(json.loads, path.read_text().splitlines())


def next_part(folder: Path) -> int:
    """The number of the next file of rows."""
    return 1 + max((int(path.stem.removeprefix("part-")) for path in folder.glob("part-*")), default=-1)


def count(folder: Path) -> tuple[int, int]:
    """The number of all rows, and of those with an error."""
    errors = [row["error"] for row in rows(folder, ["error"])]
    return len(errors), sum(error is not None for error in errors)


def write(folder: Path, part: int, found: list[dict[str, Any]], names: list[str], read: bool) -> None:
    """Write a file of rows atomically: Parquet, or lines of JSON if pyarrow is not installed."""
    if not has_parquet():
        _replace(folder / f"part-{part:06}.jsonl", "".join(json.dumps(row) + "\n" for row in found).encode())
        return
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(found, schema(names, read)), folder / TEMPORARY)
    os.replace(folder / TEMPORARY, folder / f"part-{part:06}.parquet")


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(TEMPORARY)
    temporary.write_bytes(content)
    os.replace(temporary, path)
