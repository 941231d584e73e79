"""The Open Inference Protocol at /v2, which KServe, Triton's clients and other platforms speak.

It has a model for each artefact, which turns 28x28 images into probabilities; `consensus`, which turns the same images
into the service's verdicts; and `photograph`, which turns encoded images into verdicts, like POST /predict. gRPC is not
supported.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any

import anyio.to_thread
import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..answers import Error
from ..picture.errors import ImageTooLarge
from .body import FRAMING, body_of
from .errors import NO_ROUTE
from .serving import Serving, serving_of
from .tensors import JSON_LENGTH, Infer, InvalidRequest, RequestTooLarge, Spec, decompress, parse, reply

VERSION = "1"  # version of every model
UNKNOWN_MODEL = "/v2/models/{model}"  # the path that `known_paths` gives all requests for unknown models
CONSENSUS, PHOTOGRAPH = "consensus", "photograph"
OPEN = ("/v2/health/live", "/v2/health/ready")  # paths that need no API key, because probes have none

DIGIT = Spec(name="digit", datatype="INT64", shape=(-1,))
CONFIDENCE = Spec(name="confidence", datatype="FP32", shape=(-1,))
ACCEPTED = Spec(name="accepted", datatype="BOOL", shape=(-1,))
AGREEMENT = Spec(name="agreement", datatype="INT64", shape=(-1,))
PROBABILITIES = Spec(name="probabilities", datatype="FP32", shape=(-1, 10))
ENCODED = Spec(name="image", datatype="BYTES", shape=(-1,))
IMAGES = Spec(name="images", datatype="UINT8", shape=(-1, 1, 28, 28))
VERDICT = (DIGIT, CONFIDENCE, ACCEPTED, AGREEMENT)

Outputs = dict[str, tuple[Spec, np.ndarray]]


def routes(artefacts: Iterable[str], version: str) -> list[Route]:
    """All routes for these artefacts. Each path is spelt out, so that the metrics have a label for each model."""
    names = (*artefacts, CONSENSUS, PHOTOGRAPH)
    found = [
        Route("/v2", partial(_server, version)),
        Route("/v2/health/live", _live),
        Route("/v2/health/ready", _ready),
        Route("/v2/repository/index", partial(_index, names), methods=["POST"]),
    ]
    for name in names:
        for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{VERSION}"):
            found += [
                Route(path, _about(name, _metadata)),
                Route(f"{path}/ready", _about(name, _model_ready)),
                Route(f"{path}/config", _about(name, _config)),
                Route(f"{path}/infer", _about(name, _infer), methods=["POST"]),
            ]
    unknown = partial(_unknown, names)
    methods = ["GET", "POST"]
    found += [Route(path, unknown, methods=methods) for path in (UNKNOWN_MODEL, f"{UNKNOWN_MODEL}/{{rest:path}}")]
    return found


async def _unknown(names: tuple[str, ...], request: Request) -> Response:
    if request.path_params["model"] in names:
        raise HTTPException(404, NO_ROUTE)
    raise HTTPException(404, f"Unknown model; the models are: {', '.join(names)}.")


def _about(
    name: str, handler: Callable[[Request, str], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await handler(request, name)

    return handle


async def _server(version: str, _request: Request) -> Response:
    return JSONResponse({"name": "quintet", "version": version, "extensions": ["binary_tensor_data"]})


async def _live(_request: Request) -> Response:
    return JSONResponse({"live": True})


async def _ready(request: Request) -> Response:
    """Whether the service is ready. The specification names the field `live`, but KServe's client reads `ready`."""
    health = getattr(request.app.state, "health", None)  # the state behind /readyz; None outside BentoML's service
    ready = health is None or health.is_ready
    return JSONResponse({"live": True, "ready": ready}, 200 if ready else 503)


async def _index(names: tuple[str, ...], _request: Request) -> Response:
    return JSONResponse([{"name": name, "version": VERSION, "state": "READY", "reason": ""} for name in names])


async def _model_ready(_request: Request, name: str) -> Response:
    return JSONResponse({"name": name, "ready": True})


def _takes(name: str) -> Spec:
    return ENCODED if name == PHOTOGRAPH else IMAGES


def _gives(name: str) -> tuple[Spec, ...]:
    if name == PHOTOGRAPH:
        return VERDICT
    return (*VERDICT, PROBABILITIES) if name == CONSENSUS else (PROBABILITIES,)


def _platform(name: str) -> str:
    return "ensemble" if name in (CONSENSUS, PHOTOGRAPH) else "onnx_onnxv1"


async def _metadata(_request: Request, name: str) -> Response:
    return JSONResponse(
        {
            "name": name,
            "versions": [VERSION],
            "platform": _platform(name),
            "inputs": [_takes(name).describe()],
            "outputs": [spec.describe() for spec in _gives(name)],
        }
    )


async def _config(request: Request, name: str) -> Response:
    """The model's configuration, which is not in the specification, but which Triton's perf_analyzer requests.

    If `max_batch_size` is 0, `dims` includes the first axis.
    """
    batch = 0 if name == PHOTOGRAPH else serving_of(request).recogniser.settings.max_images

    def described(spec: Spec) -> dict[str, Any]:
        dims = list(spec.shape[1:] or (1,)) if batch else list(spec.shape)
        kind = "STRING" if spec.datatype == "BYTES" else spec.datatype
        return {"name": spec.name, "data_type": f"TYPE_{kind}", "dims": dims}

    return JSONResponse(
        {
            "name": name,
            "platform": _platform(name),
            "max_batch_size": batch,
            "input": [described(_takes(name))],
            "output": [described(spec) for spec in _gives(name)],
            "dynamic_batching": {},
        }
    )


async def _infer(request: Request, name: str) -> Response:
    serving = serving_of(request)
    settings = serving.recogniser.settings
    limit = settings.max_bytes + FRAMING
    most = settings.max_batch if name == PHOTOGRAPH else settings.max_images
    body = await body_of(request, limit)
    encoding = request.headers.get("content-encoding", "").strip().lower()

    def read() -> tuple[Infer, Any]:
        return parse(decompress(body, encoding, limit), request.headers.get(JSON_LENGTH), _takes(name), most)

    try:
        asked, tensor = await anyio.to_thread.run_sync(read)
        outputs = await (_photographs(serving, tensor) if name == PHOTOGRAPH else _arrays(serving, name, tensor))
        content, json_length = reply(asked, {"model_name": name, "model_version": VERSION}, outputs)
    except InvalidRequest as error:
        raise HTTPException(413 if isinstance(error, RequestTooLarge) else 400, str(error)) from error
    if json_length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={JSON_LENGTH: str(json_length)})


async def _arrays(serving: Serving, name: str, images: np.ndarray) -> Outputs:
    """The outputs of an artefact, or of the consensus, for images (N, 1, 28, 28) uint8."""
    recogniser = serving.recogniser
    said = await recogniser.classify_async(images, recogniser.names if name == CONSENSUS else [name])
    if name != CONSENSUS:
        return {PROBABILITIES.name: (PROBABILITIES, said.probabilities[name])}
    return _columns(said.verdicts) | {PROBABILITIES.name: (PROBABILITIES, said.mean)}


async def _photographs(serving: Serving, files: list[bytes]) -> Outputs:
    """The verdicts of POST /predict for encoded images.

    If several images are bad, the error is that of the first, because the protocol has only one for each request.
    """
    recogniser = serving.recogniser
    if (largest := max(map(len, files))) > recogniser.settings.max_bytes:
        raise RequestTooLarge(f"An image has {largest} bytes; the limit is {recogniser.settings.max_bytes}.")
    answers = await recogniser.predict_many_async(files, recogniser.names)
    for number, answer in enumerate(answers):
        if isinstance(answer, Error):
            kind = RequestTooLarge if answer.status == ImageTooLarge.status else InvalidRequest
            raise kind(f"Image {number}: {answer.error}")
    if serving.observe is not None:
        for answer in answers:
            if not isinstance(answer, Error):
                serving.observe(answer)
    return _columns(answers)


def _columns(verdicts: Sequence[Any]) -> Outputs:
    return {spec.name: (spec, np.array([getattr(verdict, spec.name) for verdict in verdicts])) for spec in VERDICT}
