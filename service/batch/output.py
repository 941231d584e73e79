"""A row for each image, and the folder of results: files of rows, and a record of what made them."""

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..answers import Error, Prediction
from ..inference.device import DeviceLost
from ..picture.errors import InvalidImage
from ..recogniser import Recogniser
from ..settings import Settings
from .unpack import Image

if TYPE_CHECKING:
    import pyarrow

ABOUT = "_quintet.json"  # readers of a folder of Parquet files skip names that begin with "_"
LOCK = "_lock"
TEMPORARY = "_part"
BOXES = "boxes"  # four numbers for each digit; Arrow has no name for this type
VERDICT = {"digit": "int8", "confidence": "float", "accepted": "bool", "reason": "string", "agreement": "int8"}

Row = dict[str, Any]


class Scorer:
    """Raises the errors of Recogniser for missing models, and DeviceLost. An image alone never stops it."""

    def __init__(self, settings: Settings, wanted: str | None, read: bool, threads: int) -> None:
        self.read = read
        self.recogniser = Recogniser(settings=settings, threads=threads)
        self.names = self.recogniser.predictor.choose(wanted)

    def score(self, images: list[Image]) -> list[Row]:
        """A row for each image, in the same order."""
        rows: list[Row] = [{"path": image.path, "error": image.error} for image in images]
        readable = [(row, image.data) for row, image in zip(rows, images, strict=True) if image.data is not None]
        answers = self._predict([data for _, data in readable])
        for (row, data), answer in zip(readable, answers, strict=True):
            row |= answer
            if self.read and row["error"] is None:
                row |= self._text(data)
        return rows

    def _predict(self, images: list[bytes]) -> list[Row]:
        try:
            return [_digit(answer) for answer in self.recogniser.predict_many(images, self.names)]
        except DeviceLost:
            raise
        except Exception as error:  # a fault of ours or of a decoder: of a billion images, it should cost one
            if len(images) == 1:
                return [{"error": _fault(error)}]
            return [answer for image in images for answer in self._predict([image])]

    def _text(self, data: bytes) -> Row:
        try:
            text = self.recogniser.read(data, self.names)
        except InvalidImage as error:
            return {"error": str(error)}
        except DeviceLost:
            raise
        except Exception as error:  # as above
            return {"error": _fault(error)}
        boxes = [mark.box for mark in text.digits if mark.accepted]
        return {"text": text.text, "transcript": text.transcript, "note": text.note, "boxes": boxes}


def _fault(error: Exception) -> str:
    return f"The image cannot be read: {type(error).__name__} {str(error).rstrip('.')}."


def _digit(answer: Prediction | Error) -> Row:
    if isinstance(answer, Error):
        return {"error": answer.error}
    return {name: getattr(answer, name) for name in VERDICT} | {model.name: model.digit for model in answer.models}


def columns(names: list[str], read: bool) -> dict[str, str]:
    """The columns of a row, in order, and Arrow's names of their types; `names`: of the models."""
    text = {"text": "string", "transcript": "string", "note": "string", "boxes": BOXES} if read else {}
    return {"path": "string"} | VERDICT | dict.fromkeys(names, "int8") | text | {"error": "string"}


def schema(names: list[str], read: bool) -> "pyarrow.Schema":
    """The same for Arrow."""
    import pyarrow as pa

    def of(kind: str) -> "pyarrow.DataType":
        return pa.list_(pa.list_(pa.float32(), 4)) if kind == BOXES else pa.type_for_alias(kind)

    kinds = columns(names, read)
    return pa.schema([pa.field(name, of(kind), nullable=name != "path") for name, kind in kinds.items()])


@contextmanager
def opened(folder: Path, about: dict[str, Any]) -> Iterator[None]:
    """Create the folder, or continue in it, and keep other runs out of it until the end.

    Raises ValueError if it holds other files, if another run is writing into it, or if it was started with another
    `about`; OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ABOUT
    if not path.exists() and any(entry.name not in (LOCK, TEMPORARY) for entry in folder.iterdir()):
        raise ValueError(f"{folder} holds files that are not results of `quintet batch`; choose another folder.")
    with (folder / LOCK).open("a") as lock:
        if not _locked(lock):
            raise ValueError(f"Another `quintet batch` is writing into {folder}; wait for it or choose another folder.")
        if not path.exists():
            _replace(path, json.dumps(about, indent=1).encode())
        before = json.loads(path.read_bytes())
        for key in about:
            if before.get(key) != about[key]:
                raise ValueError(
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


def rows(folder: Path, columns: list[str] | None = None) -> Iterator[Row]:
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


def write(folder: Path, part: int, found: list[Row], names: list[str], read: bool) -> None:
    """Write a file of rows atomically: Parquet, or lines of JSON if pyarrow is not installed."""
    if not find_spec("pyarrow"):
        whole = ({name: row.get(name) for name in columns(names, read)} for row in found)
        _replace(folder / f"part-{part:06}.jsonl", "".join(json.dumps(row) + "\n" for row in whole).encode())
        return
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(found, schema(names, read)), folder / TEMPORARY)
    os.replace(folder / TEMPORARY, folder / f"part-{part:06}.parquet")


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(TEMPORARY)
    temporary.write_bytes(content)
    os.replace(temporary, path)
