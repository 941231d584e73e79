"""The HTTP contract as /docs shows it: requests, answers and errors."""

from typing import Annotated, Any

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from .errors import FAILED, LOST

DESCRIPTION = """Five networks read a handwritten digit: a CNN, Faster R-CNN, VGG16, AlexNet and a Vision Transformer.

Send a photograph, a scan or a drawing; the service finds the ink. An error is a status and one sentence. Routes that
are not listed here: `/livez`, `/readyz`, `/metrics`, BentoML's own `/classify`, which takes 28x28 arrays, and the Open
Inference Protocol at `/v2`. If the service has an API key, all routes except health and the pages need the header
`Authorization: Bearer KEY`."""
MEANING = {
    400: "not an image, damaged, or no ink in it",
    401: "API key missing or wrong",
    404: "unknown model",
    408: "the body took too long",
    413: "too many bytes or pixels",
    415: "type not allowed",
    422: "wrong field or parameter",
    429: "too many requests at once; the header Retry-After says when to try again",
    500: "a fault of the service",
    503: "the models failed; the worker that holds them is being replaced",
    504: "the answer took too long",
}
SENTENCE = {  # an example of the sentence for each status
    400: "The image is blank: no ink stands out from the background.",
    401: "The API key is missing or wrong; send it as a header: 'Authorization: Bearer KEY'.",
    404: "Unknown model 'resnet'; served models: alexnet, cnn, faster_rcnn, vgg16, vit.",
    408: "The body did not arrive within 60 s.",
    413: "The image has 20000 x 20000 pixels; the limit is 16000000 in all.",
    415: "A body without a Content-Type is not allowed; "
    "send the image as the multipart field 'image' or as an image/* body.",
    422: "The multipart field 'image' is missing; the fields sent: 'file'.",
    429: "The service is busy with 128 requests; try again in 1 s.",
    500: FAILED,
    503: LOST,
    504: "The answer took longer than 30 s; try again.",
}
PREDICTION = {  # the answer of one network to examples/seven.png
    "digit": 7,
    "confidence": 0.999964,
    "accepted": True,
    "digits_seen": 1,
    "agreement": 1,
    "models": [
        {
            "name": "faster_rcnn",
            "digit": 7,
            "confidence": 0.999964,
            "probabilities": [3e-06, 6e-06, 4e-06, 6e-06, 4e-06, 3e-06, 3e-06, 0.999964, 3e-06, 4e-06],
            "latency_ms": 1.476,
            "box": [43.2, 34.1, 154.0, 204.6],
        }
    ],
    "timing_ms": {"decode": 1.201, "canonicalise": 5.379, "queue": 0.129, "inference": 1.478, "total": 8.793},
    "device": "cpu",
}

# This only describes the key, so that /docs can send one; `gate` checks it.
KEY = Security(HTTPBearer(auto_error=False, description="the API key, if the service has one"))
OPEN = {"security": [{}]}  # a service without a key

BINARY = {"type": "string", "format": "binary"}
Probability = Annotated[float, Field(ge=0, le=1)]
Digit = Annotated[int, Field(ge=0, le=9)]


class Options(BaseModel):
    models: str | None = Field(None, description="names separated by commas; all if left out", examples=["cnn,vit"])


class ReadOptions(Options):
    explain: bool = Field(False, description="adds the 28x28 image of each digit that the models saw")


class PredictOptions(Options):
    explain: bool = Field(
        False, description="adds the 28x28 image that the models saw; /predict also adds what each model looks at"
    )


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


class Proposal(BaseModel):
    box: list[float] = Field(description="x_min, y_min, x_max, y_max in pixels of the 28x28 image")
    objectness: Probability = Field(description="how sure the first stage is that there is an object")


class ModelExplanation(BaseModel):
    occlusion: list[list[float]] = Field(
        description="7x7, -1 to 1: by how much this model's probability of `digit` falls when 8x8 pixels around one of "
        "the 4x4 cells are covered with background (Zeiler & Fergus, https://arxiv.org/abs/1311.2901). Comparable "
        "between models. It does not show how parts work together, nor that missing ink speaks against other digits."
    )
    attention: list[list[float]] | None = Field(
        None,
        description="vit: 7x7 shares, from the class token to each 4x4 patch in the last block, mean of the heads. It "
        "shows where the last block takes information from, and does not measure importance "
        "(Jain & Wallace, https://arxiv.org/abs/1902.10186).",
    )
    proposals: list[Proposal] | None = Field(
        None, description="faster_rcnn: the regions that its region proposal network passes to the box head, best first"
    )


class Explanation(BaseModel):
    image: str = Field(description="the 28x28 image the models saw, a PNG as a data: URL")
    ink: str | None = Field(
        None, description="the ink before framing, a PNG as a data: URL; null for an image that has MNIST's framing"
    )
    models: dict[str, ModelExplanation] | None = Field(
        None, description="what each model looks at in that image; only from /predict, which takes about 0.1 s for it"
    )


class Prediction(BaseModel):
    model_config = {"json_schema_extra": {"examples": [PREDICTION]}}

    digit: Digit
    confidence: Probability = Field(description="of the calibrated mean of the chosen models")
    accepted: bool = Field(description="false: probably no single digit, or hardly written; `digit` is the best guess")
    digits_seen: int = Field(ge=1, description="how many digits are in the image; of several, `digit` is the largest")
    agreement: int = Field(description="number of chosen models that give this digit")
    models: list[ModelAnswer]
    timing_ms: Timing
    device: str = Field(examples=["cpu"])
    note: str | None = Field(None, description="what else the sender should know: that there are several digits")
    explain: Explanation | None = None


class WrittenDigit(BaseModel):
    digit: Digit
    confidence: Probability
    accepted: bool = Field(description="false: probably not a digit; it is left out of `text`")
    box: list[float] = Field(description="x_min, y_min, x_max, y_max in pixels of the upload")
    line: int = Field(description="number of the line, counted from 0 at the top")
    image: str | None = Field(None, description="with explain: the 28x28 image the models saw, a PNG as a data: URL")


class Text(BaseModel):
    text: str = Field(
        description="the accepted digits in reading order, lines separated by newlines", examples=["1969"]
    )
    digits: list[WrittenDigit] = Field(description="all marks that were read, in reading order")
    digits_seen: int = Field(ge=0, description="how many of them are accepted")
    turned: int = Field(description="degrees counter-clockwise by which the image was turned: 0, 90, 180 or 270")
    timing_ms: ReadTiming
    device: str = Field(examples=["cpu"])


class Model(BaseModel):
    name: str = Field(examples=["cnn"])
    sha256: str = Field(description="of the artefact's file", examples=["5f2b" * 16])
    device: str = Field(description="where it runs: cpu or cuda", examples=["cpu"])
    metadata: dict[str, str | int | float] = Field(
        description="the artefact's own metadata", examples=[{"name": "cnn", "parameters": 1959530, "seed": 0}]
    )


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route."""
    return {
        status: {
            "model": Error,
            "description": MEANING[status],
            "content": {"application/json": {"example": {"error": SENTENCE[status]}}},
        }
        for status in statuses
    }


def upload(field: str) -> dict[str, Any]:
    """The description of the body of a route that takes one image, which FastAPI cannot derive."""
    raw = dict.fromkeys(("image/*", "application/octet-stream"), {"schema": BINARY})
    return OPEN | {"requestBody": {"required": True, "content": _form(field, BINARY) | raw}}


def uploads(field: str) -> dict[str, Any]:
    """The description of the body of a route that takes several images, and an example of its answer."""
    kind = {"type": "array", "minItems": 1, "items": BINARY}
    answer = {"application/json": {"example": [PREDICTION, {"error": SENTENCE[400]}]}}
    return OPEN | {
        "requestBody": {"required": True, "content": _form(field, kind)},
        "responses": {"200": {"content": answer}},
    }


def _form(field: str, kind: dict[str, Any]) -> dict[str, Any]:
    return {"multipart/form-data": {"schema": {"type": "object", "required": [field], "properties": {field: kind}}}}
