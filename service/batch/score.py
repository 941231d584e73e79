"""Turn encoded images into rows: `look` prepares an image without models, and `Scorer` runs the models."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..answer import DECIMALS, describe_page
from ..inference.artefact import open_finder
from ..inference.predictor import Predictor
from ..inference.shapes import LARGEST
from ..picture.decode import InvalidImage, grey_from_upload
from ..picture.digit import canonicalise
from ..picture.ink import FILE, InkFinder
from ..settings import Settings
from .sources import Image

Row = dict[str, Any]


def look(image: Image, settings: Settings, keep: bool) -> Row:
    """Decode and canonicalise an image.

    Returns path, error, image (28x28 as 784 bytes, or None), whether it is surely written, and data (the encoded bytes
    if `keep`, else None).
    """
    row: Row = {
        "path": image.path,
        "error": image.error,
        "image": None,
        "is_sure": False,
        "data": image.data if keep else None,
    }
    if image.data is not None:
        try:
            picture, _ = grey_from_upload(image.data, settings.max_pixels, settings.formats)
            canonical = canonicalise(picture, _finder(settings.models))
            row |= {"image": canonical.image.tobytes(), "is_sure": canonical.is_sure}
        except InvalidImage as error:
            row["error"] = str(error)
    return row


@cache
def _finder(models: Path) -> InkFinder:
    """One for a process, whose threads share it."""
    return open_finder(models / FILE, threads=1)


class Scorer:
    """The models, loaded once for each process. Raises the errors of Predictor."""

    def __init__(self, settings: Settings, wanted: str | None, read: bool, threads: int) -> None:
        self.settings, self.read = settings, read
        self.predictor = Predictor(settings.models, settings.device, threads)
        self.names = self.predictor.choose(wanted)

    def score(self, rows: list[Row]) -> list[Row]:
        """The rows of results for any number of rows from `look`, in the same order."""
        results = {
            row["path"]: empty(self.names, self.read) | {"path": row["path"], "error": row["error"]} for row in rows
        }
        readable = [row for row in rows if row["image"] is not None]
        for start in range(0, len(readable), LARGEST):
            part = readable[start : start + LARGEST]
            for row, found in zip(part, self._digits(part), strict=True):
                results[row["path"]] |= found
        if self.read:
            for row in readable:
                results[row["path"]] |= self._text(row["data"])
        return list(results.values())

    def _digits(self, rows: list[Row]) -> list[Row]:
        """The answers for the images of up to LARGEST rows.

        The batch is always filled up to LARGEST, because probabilities depend on its size in the last bits (2e-9).
        """
        batch = np.zeros((LARGEST, 1, 28, 28), np.uint8)
        batch[: len(rows)] = np.frombuffer(b"".join(row["image"] for row in rows), np.uint8).reshape(-1, 1, 28, 28)
        answers = self.predictor.classify(batch, self.names)
        return [
            {
                "digit": verdict.digit,
                "confidence": round(verdict.confidence, DECIMALS),
                "accepted": row["is_sure"] and verdict.accepted,
                "agreement": verdict.agreement,
            }
            | {name: int(answer.probabilities[index].argmax()) for name, answer in answers.by_name.items()}
            for index, (row, verdict) in enumerate(zip(rows, answers.verdicts, strict=False))
        ]

    def _text(self, data: bytes) -> Row:
        try:
            page = describe_page(self.predictor, self.names, data, self.settings)
        except InvalidImage as error:
            return {"error": str(error)}
        return {"text": page["text"], "boxes": [digit["box"] for digit in page["digits"] if digit["accepted"]]}


def empty(names: list[str], read: bool) -> Row:
    """A row of all columns, in order, without values."""
    columns = ["path", "digit", "confidence", "accepted", "agreement", *names, *(("text", "boxes") if read else ())]
    return dict.fromkeys([*columns, "error"])
