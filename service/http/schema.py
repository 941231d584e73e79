"""The HTTP contract as /docs shows it: requests, answers and errors."""

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

from ..answers import Error
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
    413: "The image has 20000 x 20000 pixels; the limit is 200000000 in all.",
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
    "reason": None,
    "note": None,
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


class Options(BaseModel):
    models: str | None = Field(None, description="names separated by commas; all if left out", examples=["cnn,vit"])


class ReadOptions(Options):
    explain: bool = Field(False, description="adds the 28x28 image of each digit that the models saw")


class PredictOptions(Options):
    explain: bool = Field(
        False, description="adds the 28x28 image that the models saw; /predict also adds what each model looks at"
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
