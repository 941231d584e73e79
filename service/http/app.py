"""The HTTP application: its routes around one recogniser.

A route behind the API key is made by `gate.route`, one that reads images by `gate.work`. An exception that it raises is
answered by `errors`. What reads images leaves its answers in `request.state.answers`, for metrics and traces.
"""

import time
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..answers import Error, Inside, Model, Prediction, Text
from ..recogniser import Recogniser
from . import errors, openapi, pages, v2
from .body import InsideOptions, PredictOptions, ReadOptions, image_of, images_of, options_of
from .gate import Gate
from .metrics import Metrics
from .observability import Health, Listener, Observer

FIELD, BATCH_FIELD = "image", "images"  # names of the fields in a form or in JSON
OPEN_TO_OTHERS = ["Retry-After", "X-Request-ID", v2.JSON_LENGTH]  # headers that pages of other origins may read


def create_app(
    recogniser: Recogniser,
    health: Health | None = None,
    listeners: Sequence[Listener] = (),
    shared: Any = None,
) -> Observer:
    """The application that answers with `recogniser`.

    listeners: called with each request; shared: the metrics of all workers, from `metrics.rows`.
    """
    health, settings, gate = health or Health(), recogniser.settings, Gate(recogniser.settings)
    routes = [
        gate.work("/predict", predict),
        gate.work("/predict/batch", predict_batch),
        gate.work("/read", read),
        gate.route("/models", models),
        gate.work("/models/{model}/inside", inside),
        gate.route("/metrics", metrics),
        *(Route(path, v2.live) for path in ("/livez", "/healthz")),
        *(Route(path, v2.ready) for path in ("/readyz", "/health")),
        Route("/openapi.json", description),
        *v2.routes(gate),
        *pages.routes(settings.frame_ancestors),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=OPEN_TO_OTHERS,
    )
    app = Starlette(
        routes=routes,
        middleware=[cors] if settings.cors_origins else [],
        exception_handlers=errors.handlers(health.fail),
    )
    app.state.recogniser, app.state.health = recogniser, health
    paths = dict.fromkeys(route.path for route in routes)
    app.state.metrics = Metrics(recogniser.predictor.artefacts, paths, shared)
    recogniser.predictor.observe = app.state.metrics.ran
    return Observer(app, health, app.state.metrics, listeners)


async def predict(request: Request) -> Response:
    """Send one image, as the multipart field `image`, as the raw body or as base64 in JSON."""
    recogniser: Recogniser = request.app.state.recogniser
    options = options_of(request, PredictOptions)
    names = recogniser.predictor.choose(options.models)
    data = await image_of(request, FIELD, recogniser.settings.max_bytes)
    return _answer(request, await recogniser.predict_async(data, names, options.explain))


async def predict_batch(request: Request) -> Response:
    """Send the images as multipart fields `images`. Answers have the same order; a bad image affects no other."""
    recogniser: Recogniser = request.app.state.recogniser
    options, settings = options_of(request, PredictOptions), recogniser.settings
    names = recogniser.predictor.choose(options.models)
    files = await images_of(request, BATCH_FIELD, settings.max_bytes, settings.max_batch)
    request.state.answers = await recogniser.predict_many_async(files, names, options.explain)
    return _json(f"[{','.join(map(_text, request.state.answers))}]")


async def read(request: Request) -> Response:
    """Send one image, as for /predict; its digits come line by line."""
    recogniser: Recogniser = request.app.state.recogniser
    options = options_of(request, ReadOptions)
    names = recogniser.predictor.choose(options.models)
    data = await image_of(request, FIELD, recogniser.settings.max_bytes)
    deadline = time.perf_counter() + recogniser.settings.timeout
    return _answer(request, await recogniser.read_async(data, names, options.explain, deadline, options.turn))


async def models(request: Request) -> Response:
    """Each artefact's own description, the hash of its file and where it runs."""
    artefacts = request.app.state.recogniser.predictor.artefacts.items()
    described = [
        Model(name=name, sha256=artefact.sha256, device=artefact.device, metadata=artefact.metadata)
        for name, artefact in artefacts
    ]
    return _json(f"[{','.join(map(_text, described))}]")


async def inside(request: Request) -> Response:
    """Send one image, as for /predict. The layers, feature maps and covered squares of one model; none is a reason."""
    recogniser: Recogniser = request.app.state.recogniser
    options = options_of(request, InsideOptions)
    (name,) = recogniser.predictor.choose([request.path_params["model"]])
    data = await image_of(request, FIELD, recogniser.settings.max_bytes)
    return _json(_text(await recogniser.inside_async(data, name, options.digit)))


async def metrics(request: Request) -> Response:
    """Metrics in Prometheus' format, of all workers."""
    content, media_type = request.app.state.metrics.page()
    return Response(content, media_type=media_type)


async def description(request: Request) -> Response:
    return JSONResponse(openapi.description(request.app.routes, request.app.state.recogniser.names, v2.names(request)))


def _answer(request: Request, answer: Prediction | Text) -> Response:
    request.state.answers = [answer]
    return _json(_text(answer))


def _text(answer: Prediction | Text | Error | Model | Inside) -> str:
    return answer.model_dump_json(exclude_unset=True)


def _json(content: str) -> Response:
    return Response(content, media_type="application/json")
