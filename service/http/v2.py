"""The Open Inference Protocol at /v2, which KServe, Triton's clients and other platforms speak.

It has a model for each artefact, which turns 28x28 images into probabilities; `consensus`, which turns the same images
into the service's verdicts; and `photograph`, which turns encoded images into verdicts, like POST /predict. gRPC is not
supported.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from .. import __version__
from ..answers import Error
from ..recogniser import Recogniser
from .body import FRAMING, body_of, quickly
from .errors import NO_ROUTE
from .gate import Gate
from .tensors import JSON_LENGTH, Tensor, parse, reply

VERSION = "1"  # version of every model
CONSENSUS, PHOTOGRAPH = "consensus", "photograph"

DIGIT = Tensor(name="digit", datatype="INT64", shape=[-1])
CONFIDENCE = Tensor(name="confidence", datatype="FP32", shape=[-1])
ACCEPTED = Tensor(name="accepted", datatype="BOOL", shape=[-1])
AGREEMENT = Tensor(name="agreement", datatype="INT64", shape=[-1])
PROBABILITIES = Tensor(name="probabilities", datatype="FP32", shape=[-1, 10])
ENCODED = Tensor(name="image", datatype="BYTES", shape=[-1])
IMAGES = Tensor(name="images", datatype="UINT8", shape=[-1, 1, 28, 28])
VERDICT = (DIGIT, CONFIDENCE, ACCEPTED, AGREEMENT)

Outputs = dict[str, tuple[Tensor, np.ndarray]]


class Live(TypedDict):
    live: bool


class Ready(TypedDict):
    """The specification names the field `live`, but KServe's client reads `ready`."""

    live: bool
    ready: bool


class Server(TypedDict):
    name: str
    version: str
    extensions: list[str]


class Listed(TypedDict):
    name: str
    version: str
    state: str
    reason: str


class ModelReady(TypedDict):
    name: str
    ready: bool


class Metadata(TypedDict):
    name: str
    versions: list[str]
    platform: str
    inputs: list[Tensor]
    outputs: list[Tensor]


class ConfigTensor(TypedDict):
    name: str
    data_type: str
    dims: list[int]


class Config(TypedDict):
    """It is not in the specification, but Triton's perf_analyzer requests it."""

    name: str
    platform: str
    max_batch_size: int
    input: list[ConfigTensor]
    output: list[ConfigTensor]
    dynamic_batching: dict[str, Any]


def routes(gate: Gate) -> list[Route]:
    found = [
        Route("/v2/health/live", live),
        Route("/v2/health/ready", ready),
        gate.route("/v2", server),
        gate.work("/v2/repository/index", index),
    ]
    for path in ("/v2/models/{model}", f"/v2/models/{{model}}/versions/{VERSION}"):
        found += [
            gate.work(f"{path}/infer", infer),
            gate.route(path, metadata),
            gate.route(f"{path}/ready", model_ready),
            gate.route(f"{path}/config", config),
        ]
    anything = "/v2/models/{model}", "/v2/models/{model}/{rest:path}"
    return found + [gate.route(path, _unknown, ["GET", "POST"]) for path in anything]


def _name(request: Request) -> str:
    """The model that the path names. Raises HTTPException 404 with those that there are."""
    name, known = request.path_params["model"], names(request)
    if name not in known:
        raise HTTPException(404, f"Unknown model; the models are: {', '.join(known)}.")
    return name


def names(request: Request) -> list[str]:
    """The models that /v2 knows."""
    return [*request.app.state.recogniser.names, CONSENSUS, PHOTOGRAPH]


async def _unknown(request: Request) -> Response:
    _name(request)
    raise HTTPException(404, NO_ROUTE)


async def server(_request: Request) -> Response:
    """Name, version and extensions of the protocol."""
    return JSONResponse(Server(name="quintet", version=__version__, extensions=["binary_tensor_data"]))


async def live(_request: Request) -> Response:
    """Whether the process answers."""
    return JSONResponse(Live(live=True))


async def ready(request: Request) -> Response:
    """Whether the service should be sent requests."""
    is_ready = request.app.state.health.is_ready
    return JSONResponse(Ready(live=True, ready=is_ready), 200 if is_ready else 503)


async def index(request: Request) -> Response:
    """All models."""
    listed = [Listed(name=name, version=VERSION, state="READY", reason="") for name in names(request)]
    return JSONResponse(listed)


async def model_ready(request: Request) -> Response:
    """Whether a model answers."""
    return JSONResponse(ModelReady(name=_name(request), ready=True))


def _takes(name: str) -> Tensor:
    return ENCODED if name == PHOTOGRAPH else IMAGES


def _gives(name: str) -> tuple[Tensor, ...]:
    if name == PHOTOGRAPH:
        return VERDICT
    return (*VERDICT, PROBABILITIES) if name == CONSENSUS else (PROBABILITIES,)


def _platform(name: str) -> str:
    return "ensemble" if name in (CONSENSUS, PHOTOGRAPH) else "onnx_onnxv1"


async def metadata(request: Request) -> Response:
    """The tensors that a model takes and gives; -1 is any size."""
    name = _name(request)
    answer = Metadata(
        name=name,
        versions=[VERSION],
        platform=_platform(name),
        inputs=[_takes(name)],
        outputs=list(_gives(name)),
    )
    return JSONResponse(answer)


async def config(request: Request) -> Response:
    """The configuration of a model in Triton's form. If `max_batch_size` is 0, `dims` includes the first axis."""
    name = _name(request)
    batch = 0 if name == PHOTOGRAPH else request.app.state.recogniser.settings.max_images

    def described(spec: Tensor) -> ConfigTensor:
        dims = (spec["shape"][1:] or [1]) if batch else spec["shape"]
        kind = "STRING" if spec["datatype"] == "BYTES" else spec["datatype"]
        return ConfigTensor(name=spec["name"], data_type=f"TYPE_{kind}", dims=dims)

    answer = Config(
        name=name,
        platform=_platform(name),
        max_batch_size=batch,
        input=[described(_takes(name))],
        output=[described(spec) for spec in _gives(name)],
        dynamic_batching={},
    )
    return JSONResponse(answer)


async def infer(request: Request) -> Response:
    """Classify 28x28 images, or read encoded images with the model `photograph`."""
    name, recogniser = _name(request), request.app.state.recogniser
    settings = recogniser.settings
    most = settings.max_batch if name == PHOTOGRAPH else settings.max_images
    body = await body_of(request, settings.max_bytes, settings.max_bytes + FRAMING)
    asked, tensor = await quickly(parse, body, request.headers.get(JSON_LENGTH), _takes(name), most)
    if name == PHOTOGRAPH:
        outputs = await _photographs(request, recogniser, tensor)
    else:
        outputs = await _arrays(recogniser, name, tensor)
    content, json_length = reply(asked, name, VERSION, outputs)
    if json_length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={JSON_LENGTH: str(json_length)})


async def _arrays(recogniser: Recogniser, name: str, images: np.ndarray) -> Outputs:
    """The outputs of an artefact, or of the consensus, for images (N, 1, 28, 28) uint8."""
    said = await recogniser.classify_async(images, recogniser.names if name == CONSENSUS else [name])
    if name != CONSENSUS:
        return {PROBABILITIES["name"]: (PROBABILITIES, said.probabilities[name])}
    return _columns(said.verdicts) | {PROBABILITIES["name"]: (PROBABILITIES, said.mean)}


async def _photographs(request: Request, recogniser: Recogniser, files: list[bytes]) -> Outputs:
    """The verdicts of POST /predict for encoded images.

    If several images are bad, the error is that of the first, because the protocol has only one for each request.
    """
    limit = recogniser.settings.max_bytes
    if max(map(len, files)) > limit:
        raise HTTPException(413, f"An image is larger than the limit of {limit:,} bytes.")
    answers = await recogniser.predict_many_async(files, recogniser.names)
    for number, answer in enumerate(answers):
        if isinstance(answer, Error):
            raise HTTPException(answer.status or 400, f"Image {number}: {answer.error}")
    request.state.answers = answers
    return _columns(answers)


def _columns(verdicts: Sequence[Any]) -> Outputs:
    return {
        spec["name"]: (spec, np.array([getattr(verdict, spec["name"]) for verdict in verdicts])) for spec in VERDICT
    }
