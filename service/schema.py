"""The HTTP contract as /docs shows it: what is sent, what comes back, what can go wrong."""

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

MODELS = Query(None, description="names separated by commas; all if left out", examples=["cnn,vit"])
EXPLAIN = Query(False, description="adds the 28x28 image that the models saw")
MEANING = {
    400: "not an image, damaged, or no ink in it",
    404: "unknown model",
    413: "too many bytes or pixels",
    415: "type not allowed",
    422: "wrong field or parameter",
    503: "the models are still being loaded",
}

BINARY = {"type": "string", "format": "binary"}
Probability = Annotated[float, Field(ge=0, le=1)]
Digit = Annotated[int, Field(ge=0, le=9)]


class Error(BaseModel):
    error: str = Field(description="one sentence", examples=["The upload is a damaged or truncated image."])


class ModelAnswer(BaseModel):
    name: str = Field(examples=["cnn"])
    digit: Digit
    confidence: Probability
    probabilities: list[Probability] = Field(min_length=10, max_length=10, description="of the digits 0 to 9")
    latency_ms: float = Field(description="in the inference engine, for the whole batch")
    box: list[float] | None = Field(None, description="faster_rcnn: x_min, y_min, x_max, y_max in pixels of the upload")


class Timing(BaseModel):
    decode: float
    canonicalise: float
    queue: float
    inference: float
    total: float


class ReadTiming(BaseModel):
    decode: float
    read: float = Field(description="cleaning, finding and framing the digits, and all inference")
    total: float


class Explanation(BaseModel):
    image: str = Field(description="the 28x28 image the models saw, a PNG as a data: URL")


class Prediction(BaseModel):
    digit: Digit
    confidence: Probability = Field(description="of the calibrated mean of the chosen models")
    accepted: bool = Field(description="false: probably no single digit; `digit` is still the best guess")
    agreement: int = Field(description="chosen models whose own digit is this one")
    models: list[ModelAnswer]
    timing_ms: Timing
    device: str = Field(examples=["cpu"])
    explain: Explanation | None = None


class WrittenDigit(BaseModel):
    digit: Digit
    confidence: Probability
    accepted: bool = Field(description="false: probably no digit; it is left out of `text`")
    box: list[float] = Field(description="x_min, y_min, x_max, y_max in pixels of the upload")
    line: int = Field(description="from 0, from above")


class Text(BaseModel):
    text: str = Field(
        description="the accepted digits in reading order, lines separated by newlines", examples=["1969"]
    )
    digits: list[WrittenDigit] = Field(description="everything that was looked at, in reading order")
    timing_ms: ReadTiming
    device: str = Field(examples=["cpu"])


class Model(BaseModel):
    name: str
    sha256: str = Field(description="of the artefact's file")
    device: str = Field(description="where it runs: cpu or cuda")
    metadata: dict[str, str | int | float] = Field(description="what the artefact says of itself")


def errors(*statuses):
    """The `responses` of a route."""
    return {status: {"model": Error, "description": MEANING[status]} for status in statuses}


def upload(field):
    """The request body of a route that takes one image, which FastAPI cannot derive."""
    raw = dict.fromkeys(("image/*", "application/octet-stream"), {"schema": BINARY})
    return {"requestBody": {"required": True, "content": _form(field, BINARY) | raw}}


def uploads(field):
    """The request body of a route that takes several images."""
    return {"requestBody": {"required": True, "content": _form(field, {"type": "array", "items": BINARY})}}


def _form(field, kind):
    return {"multipart/form-data": {"schema": {"type": "object", "required": [field], "properties": {field: kind}}}}
