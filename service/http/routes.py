"""The routes that take images, and the route that describes the models.

To add a router in another module, call `app.include_router(...)` in `create_app`. Its routes get the models and the
settings from `serving_of(request)`, and `errors` turns the exceptions that they raise into answers.
"""

import time
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from ..answer import Seen, answer, describe, describe_page, see
from ..picture.errors import InvalidImage
from . import schema
from .body import image_of, images_of
from .lean import LeanRoute
from .serving import serving_of

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
    response_model=list[schema.Model],
    responses=schema.errors(401, 500, 503),
    openapi_extra=schema.OPEN,
)
async def models(request: Request) -> JSONResponse:
    """Each artefact's own description, the hash of its file and where it runs."""
    artefacts = serving_of(request).predictor.artefacts
    described = [
        {"name": name, "sha256": artefact.sha256, "device": artefact.device, "metadata": artefact.metadata}
        for name, artefact in artefacts.items()
    ]
    return JSONResponse(described)


@router.post(
    "/predict",
    tags=["digits"],
    summary="Read one digit",
    response_model=schema.Prediction,
    responses=ERRORS,
    openapi_extra=schema.upload(FIELD),
)
async def predict(request: Request, options: Annotated[schema.PredictOptions, Query()]) -> JSONResponse:
    """Send one image, as the multipart field `image` or as the raw body."""
    started = time.perf_counter()
    serving = serving_of(request)
    names = serving.predictor.choose(options.models)
    data = await image_of(request, FIELD, serving.settings.max_bytes)
    prediction = await answer(data, serving.batcher, names, serving.settings, serving.decoding, options.explain)
    if serving.observe is not None:
        serving.observe(prediction)
    return JSONResponse(_timed(prediction, started))


@router.post(
    "/predict/batch",
    tags=["digits"],
    summary="Read one digit from each of several images",
    response_model=list[schema.Prediction | schema.Error],
    responses=ERRORS,
    openapi_extra=schema.uploads(BATCH_FIELD),
)
async def predict_batch(request: Request, options: Annotated[schema.PredictOptions, Query()]) -> JSONResponse:
    """Send the images as multipart fields `images`. Answers have the same order; a bad image affects no other."""
    started = time.perf_counter()
    serving = serving_of(request)
    settings, names = serving.settings, serving.predictor.choose(options.models)
    files = await images_of(request, BATCH_FIELD, settings.max_bytes, settings.max_batch)
    arrived = time.perf_counter()
    results: list[Any] = [None] * len(files)
    seen: dict[int, Seen] = {}

    async def look(index: int) -> None:
        try:
            decode = partial(see, files[index], serving.predictor, settings.max_pixels, settings.formats, arrived)
            seen[index] = await anyio.to_thread.run_sync(decode, limiter=serving.decoding)
        except InvalidImage as error:
            results[index] = {"error": str(error)}

    async with anyio.create_task_group() as group:
        for index in range(len(files)):
            group.start_soon(look, index)
    if seen:
        images = np.concatenate([one.images for one in seen.values()])
        shares = await serving.batcher.each(images, names)
        for (index, one), share in zip(seen.items(), shares, strict=True):
            prediction = describe(one, share, serving.predictor.device, options.explain)
            if serving.observe is not None:
                serving.observe(prediction)
            results[index] = _timed(prediction, started)
    return JSONResponse(results)


@router.post(
    "/read",
    tags=["digits"],
    summary="Read any number of digits",
    response_model=schema.Text,
    responses=ERRORS,
    openapi_extra=schema.upload(FIELD),
)
async def read(request: Request, options: Annotated[schema.ReadOptions, Query()]) -> JSONResponse:
    """Send one image, as the multipart field `image` or as the raw body; its digits come line by line."""
    started = time.perf_counter()
    serving = serving_of(request)
    names = serving.predictor.choose(options.models)
    data = await image_of(request, FIELD, serving.settings.max_bytes)
    deadline = time.perf_counter() + serving.settings.timeout
    work = partial(describe_page, serving.predictor, names, data, serving.settings, deadline, options.explain)
    text = await anyio.to_thread.run_sync(work, limiter=serving.reading)
    if serving.observe is not None:
        serving.observe(text)
    return JSONResponse(_timed(text, started))


def _timed(result: dict[str, Any], started: float) -> dict[str, Any]:
    """Add the total time since `started`, a time.perf_counter, to an answer."""
    result["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return result
