"""Turn encoded images into rows, with the models loaded once for each process."""

from typing import Any

from ..answers import Error, Prediction
from ..inference.device import DeviceLost
from ..picture.errors import InvalidImage
from ..recogniser import Recogniser
from ..settings import Settings
from .sources import Image

Row = dict[str, Any]


class Scorer:
    """Raises the errors of Recogniser for missing models, and DeviceLost. An image alone never stops it."""

    def __init__(self, settings: Settings, wanted: str | None, read: bool, threads: int) -> None:
        self.read = read
        self.recogniser = Recogniser(settings=settings, threads=threads)
        self.names = self.recogniser.predictor.choose(wanted)

    def score(self, images: list[Image]) -> list[Row]:
        """A row for each image, in the same order."""
        rows = [empty(self.names, self.read) | {"path": image.path, "error": image.error} for image in images]
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
        return {"text": text.text, "boxes": [mark.box for mark in text.digits if mark.accepted]}


def _fault(error: Exception) -> str:
    return f"The image cannot be read: {type(error).__name__} {str(error).rstrip('.')}."


def _digit(answer: Prediction | Error) -> Row:
    if isinstance(answer, Error):
        return {"error": answer.error}
    return {name: getattr(answer, name) for name in ("digit", "confidence", "accepted", "reason", "agreement")} | {
        model.name: model.digit for model in answer.models
    }


def empty(names: list[str], read: bool) -> Row:
    """A row of all columns, in order, without values."""
    columns = ["path", "digit", "confidence", "accepted", "reason", "agreement", *names]
    return dict.fromkeys([*columns, *(("text", "boxes") if read else ()), "error"])
