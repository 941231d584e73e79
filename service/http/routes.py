"""The routes that take images, and the route that describes the models.

To add a router in another module, call `app.include_router(...)` in `create_app`. Its routes get the models and the
settings from `serving_of(request)`, and `errors` turns the exceptions that they raise into answers.
"""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from ..answers import Error, Model, Prediction, Text
from . import schema
from .body import image_of, images_of
from .lean import LeanRoute
from .serving import Serving, serving_of

FIELD, BATCH_FIELD = "image", "images"  # names of the fields in a multipart upload
ERRORS = schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)

router = APIRouter(
    dependencies=[schema.KEY],
    route_class=LeanRoute,
    generate_unique_id_function=lambda route: route.name,  # operation ids, which name the methods of clients
)


@router.get(
    "/models",
    tags=["models"],
    summary="What is served",
    response_model=list[Model],
    responses=schema.errors(401, 500, 503),
    openapi_extra=schema.OPEN,
)
async def models(request: Request) -> JSONResponse:
    """Each artefact's own description, the hash of its file and where it runs."""
    artefacts = serving_of(request).recogniser.predictor.artefacts
    described = [
        {"name": name, "sha256": artefact.sha256, "device": artefact.device, "metadata": artefact.metadata}
        for name, artefact in artefacts.items()
    ]
    return JSONResponse(described)


@router.post(
    "/predict",
    tags=["digits"],
    summary="Read one digit",
    response_model=Prediction,
    responses=ERRORS,
    openapi_extra=schema.upload(FIELD),
)
async def predict(request: Request, options: Annotated[schema.PredictOptions, Query()]) -> Response:
    """Send one image, as the multipart field `image` or as the raw body."""
    serving, recogniser = serving_of(request), serving_of(request).recogniser
    names = recogniser.predictor.choose(options.models)
    data = await image_of(request, FIELD, recogniser.settings.max_bytes)
    prediction = await recogniser.predict_async(data, names, options.explain)
    return _told(serving, prediction)


@router.post(
    "/predict/batch",
    tags=["digits"],
    summary="Read one digit from each of several images",
    response_model=list[Prediction | Error],
    responses=ERRORS,
    openapi_extra=schema.uploads(BATCH_FIELD),
)
async def predict_batch(request: Request, options: Annotated[schema.PredictOptions, Query()]) -> Response:
    """Send the images as multipart fields `images`. Answers have the same order; a bad image affects no other."""
    serving, recogniser = serving_of(request), serving_of(request).recogniser
    settings, names = recogniser.settings, recogniser.predictor.choose(options.models)
    files = await images_of(request, BATCH_FIELD, settings.max_bytes, settings.max_batch)
    answers = await recogniser.predict_many_async(files, names, options.explain)
    for answer in answers:
        if isinstance(answer, Prediction):
            _told(serving, answer)
    return Response(f"[{','.join(map(_json, answers))}]", media_type="application/json")


@router.post(
    "/read",
    tags=["digits"],
    summary="Read any number of digits",
    response_model=Text,
    responses=ERRORS,
    openapi_extra=schema.upload(FIELD),
)
async def read(request: Request, options: Annotated[schema.ReadOptions, Query()]) -> Response:
    """Send one image, as the multipart field `image` or as the raw body; its digits come line by line."""
    serving, recogniser = serving_of(request), serving_of(request).recogniser
    names = recogniser.predictor.choose(options.models)
    data = await image_of(request, FIELD, recogniser.settings.max_bytes)
    deadline = time.perf_counter() + recogniser.settings.timeout
    return _told(serving, await recogniser.read_async(data, names, options.explain, deadline))


def _told(serving: Serving, answer: Prediction | Text) -> Response:
    if serving.observe is not None:
        serving.observe(answer)
    return Response(_json(answer), media_type="application/json")


def _json(answer: Prediction | Text | Error) -> str:
    return answer.model_dump_json(exclude_unset=True)
