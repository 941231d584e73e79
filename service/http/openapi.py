"""The HTTP contract as /docs shows it.

Fields, types and their descriptions come from the classes that fill and parse them (`service.answers`, body.py,
tensors.py, v2.py), the text of each operation from its route. Here stands what no class says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from pydantic import BaseModel, TypeAdapter
from starlette.routing import BaseRoute, Route

from .. import __version__, answers
from . import tensors, v2
from .body import InsideOptions, PredictOptions, ReadOptions
from .errors import FAILED, LOST
from .gate import MISSING

ABOUT = """Five networks read a handwritten digit: a CNN, Faster R-CNN, VGG16, AlexNet and a Vision Transformer.

Send a photograph, a scan or a drawing; the service finds the ink. An error is a status and one sentence. If the service
has an API key, all routes except health and the pages need the header `Authorization: Bearer KEY`. Bodies may be
compressed, with `Content-Encoding: gzip` or `deflate`."""
KEY = "the API key, if the service has one"
ERRORS = {  # by status: what it means, and an example of its sentence
    400: ("not an image, damaged, or no ink in it", "The image is blank: no ink stands out from the background."),
    401: ("API key missing or wrong", MISSING),
    404: ("unknown model", "Unknown model 'resnet'; served models: alexnet, cnn, faster_rcnn, vgg16, vit."),
    408: ("the body took too long", "The body did not arrive within 60 s."),
    413: ("too many bytes or pixels", "The image has 20000 x 20000 pixels; the limit is 200000000 in all."),
    415: (
        "type not allowed",
        "A body without a Content-Type is not allowed; send the image as the multipart field 'image', as an image/* "
        "body or as base64 in JSON.",
    ),
    422: ("wrong field or parameter", "The multipart field 'image' is missing; the fields sent: 'file'."),
    429: (
        "too many requests at once; the header Retry-After says when to try again",
        "The service is busy with 128 requests; try again in 1 s.",
    ),
    500: ("a fault of the service", FAILED),
    503: ("the models failed; the worker that holds them is being replaced", LOST),
    504: ("the answer took too long", "The answer took longer than 30 s; try again."),
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

FILE = {"type": "string", "format": "binary"}
TEXT = {"type": "string", "description": "an image as base64, or as a data: URL"}
WORK = (408, 413, 415, 429, 503, 504)  # statuses of all that takes a body
READING = (400, 404, 422, *WORK)
Content = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    tag: str
    summary: str
    answer: Any = None  # its type; None for text
    statuses: tuple[int, ...] = ()  # of errors, besides 401 and 500
    is_open: bool = False  # whether it needs no API key
    options: type[BaseModel] | None = None
    body: Content | None = None
    example: Any = None


def _one(field: str) -> Content:
    """The body of a route that takes one image."""
    raw = dict.fromkeys(("image/*", "application/octet-stream"), {"schema": FILE})
    return _object("multipart/form-data", field, FILE) | raw | _object("application/json", field, TEXT)


def _several(field: str) -> Content:
    """The body of a route that takes several images."""
    files, texts = ({"type": "array", "minItems": 1, "items": kind} for kind in (FILE, TEXT))
    return _object("multipart/form-data", field, files) | _object("application/json", field, texts)


def _object(media_type: str, field: str, kind: dict[str, Any]) -> Content:
    return {media_type: {"schema": {"type": "object", "required": [field], "properties": {field: kind}}}}


TENSORS = {"application/json": {"schema": tensors.Infer}, "application/octet-stream": {"schema": FILE}}
OPERATIONS = {  # by path: none has two methods that are described
    "/predict": Operation(
        "digits",
        "Read one digit",
        answers.Prediction,
        READING,
        options=PredictOptions,
        body=_one("image"),
        example=PREDICTION,
    ),
    "/predict/batch": Operation(
        "digits",
        "Read one digit from each of several images",
        list[answers.Prediction | answers.Error],
        READING,
        options=PredictOptions,
        body=_several("images"),
        example=[PREDICTION, {"error": ERRORS[400][1], "status": 400}],
    ),
    "/read": Operation(
        "digits", "Read any number of digits", answers.Text, READING, options=ReadOptions, body=_one("image")
    ),
    "/models": Operation("models", "What is served", list[answers.Model]),
    "/models/{model}/inside": Operation(
        "models",
        "How one model comes to its answer",
        answers.Inside,
        READING,
        options=InsideOptions,
        body=_one("image"),
    ),
    "/metrics": Operation("operation", "Metrics"),
    "/livez": Operation("operation", "Whether the process answers", v2.Live, is_open=True),
    "/readyz": Operation("operation", "Whether it should be sent requests", v2.Ready, (503,), is_open=True),
    "/v2": Operation("v2", "The server", v2.Server),
    "/v2/health/live": Operation("v2", "As /livez", v2.Live, is_open=True),
    "/v2/health/ready": Operation("v2", "As /readyz", v2.Ready, (503,), is_open=True),
    "/v2/repository/index": Operation("v2", "All models", list[v2.Listed], WORK),
    "/v2/models/{model}": Operation("v2", "A model's tensors", v2.Metadata, (404,)),
    "/v2/models/{model}/ready": Operation("v2", "Whether a model answers", v2.ModelReady, (404,)),
    "/v2/models/{model}/config": Operation("v2", "A model's configuration", v2.Config, (404,)),
    "/v2/models/{model}/infer": Operation(
        "v2", "Classify or read images", tensors.InferAnswer, (400, 404, *WORK), body=TENSORS
    ),
}


def description(routes: Iterable[BaseRoute], networks: Sequence[str], models: Sequence[str]) -> dict[str, Any]:
    """The OpenAPI description of those routes that are in OPERATIONS. models: those that /v2 knows."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in routes:
        if isinstance(route, Route) and route.path in OPERATIONS and route.path not in paths:
            method = "post" if "POST" in (route.methods or ()) else "get"
            named = models if route.path.startswith("/v2") else networks
            paths[route.path] = {method: _operation(route, OPERATIONS[route.path], named, schemas)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Quintet", "version": __version__, "description": ABOUT},
        "servers": [{"url": "."}],  # where this description lies, wherever a proxy puts it
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"HTTPBearer": {"type": "http", "scheme": "bearer", "description": KEY}},
        },
    }


def _operation(route: Route, about: Operation, models: Sequence[str], schemas: dict[str, Any]) -> dict[str, Any]:
    content: Content = {"text/plain": {"schema": {"type": "string"}}}
    if about.answer is not None:
        content = {"application/json": {"schema": _schema(about.answer, schemas)}}
        if about.body is TENSORS:
            content["application/octet-stream"] = {"schema": FILE}
    if about.example is not None:
        content["application/json"]["example"] = about.example
    result: dict[str, Any] = {
        "tags": [about.tag],
        "summary": about.summary,
        "description": getdoc(route.endpoint) or "",
        "operationId": f"v2_{route.name}" if route.path.startswith("/v2") else route.name,  # a client's method
        "parameters": _parameters(route, about, models),
        "responses": {"200": {"description": "the answer", "content": content}},
    }
    if not about.is_open:
        result["security"] = [{"HTTPBearer": []}, {}]
    for status in sorted({500, *about.statuses, *(() if about.is_open else (401,))}):
        result["responses"][str(status)] = _error(status, about, schemas)
    if about.body is not None:
        described = {kind: value | {"schema": _schema(value["schema"], schemas)} for kind, value in about.body.items()}
        result["requestBody"] = {"required": True, "content": described}
    return result


def _parameters(route: Route, about: Operation, models: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "enum": list(models)}}
        for name in route.param_convertors
    ]
    if about.options is not None:
        for name, schema in about.options.model_json_schema()["properties"].items():
            about_it = schema.get("description", "")
            found.append({"name": name, "in": "query", "required": False, "schema": schema, "description": about_it})
    return found


def _error(status: int, about: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    if status == 503 and about.is_open:  # what is not ready says so, and is no error
        content = {"schema": _schema(about.answer, schemas)}
        return {"description": "not ready", "content": {"application/json": content}}
    meaning, sentence = ERRORS[status]
    content = {"schema": _schema(answers.Error, schemas), "example": {"error": sentence}}
    return {"description": meaning, "content": {"application/json": content}}


def _schema(kind: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """The JSON schema of a type; what it refers to goes into `schemas`."""
    if isinstance(kind, dict):
        return kind
    mode = "validation" if kind is tensors.Infer else "serialization"
    schema = TypeAdapter(kind).json_schema(mode=mode, ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    if not (isinstance(kind, type) and (issubclass(kind, BaseModel) or hasattr(kind, "__annotations__"))):
        return schema
    schemas[kind.__name__] = schema
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
