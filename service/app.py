"""The HTTP application: uploads in, one sentence of JSON out when something is wrong with them."""

import time
from functools import partial
from pathlib import Path

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service import schema
from service.body import image_of, images_of
from service.prediction import Seen, describe, describe_page, see
from service.predictor import Predictor, UnknownModel
from service.settings import Settings
from service.upload import FORMATS, ImageTooLarge, InvalidImage

PAGE = Path(__file__).parent / "page"
EXAMPLES = Path(__file__).parent.parent / "examples"
PAGE_HEADERS = {
    # Nothing from another host, no inline script or style; images also from the clipboard and out of an answer.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
FIELD, BATCH_FIELD = "image", "images"  # of a multipart upload
STATUS = {InvalidImage: 400, UnknownModel: 404, ImageTooLarge: 413}

app = FastAPI(
    title="Quintet",
    version="0.1.0",
    description=schema.DESCRIPTION,
    docs_url=None,  # FastAPI's own loads Swagger UI from another host
    redoc_url=None,
)


class Files(StaticFiles):
    """Files that a browser asks for again, and gets again only if they changed: an old script with a new page fails."""

    def file_response(self, *arguments, **keywords):
        response = super().file_response(*arguments, **keywords)
        response.headers["Cache-Control"] = "no-cache"
        return response


app.mount("/page/examples", Files(directory=EXAMPLES), name="examples")
app.mount("/page/swagger", Files(packages=[("fastapi_standalone_docs", "static/swagger")]), name="swagger")
app.mount("/page", Files(directory=PAGE), name="page")


def serve(predictor: Predictor, settings: Settings):
    """Give the application what it answers with; until then it is not ready."""
    see((EXAMPLES / "seven.png").read_bytes(), 10**6, FORMATS)  # so that decoders and OpenCV have loaded what they need
    app.state.predictor, app.state.settings = predictor, settings
    # An image is decoded to many times the size of its upload: only as many at once as there are cores for.
    app.state.readers = CapacityLimiter(settings.threads)


@app.exception_handler(HTTPException)
async def refuse(_request, error):
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def refuse_parameter(_request, error):
    first = error.errors()[0]
    return JSONResponse({"error": f"Parameter {first['loc'][-1]!r}: {first['msg']}."}, 422)


@app.exception_handler(ClientDisconnect)
async def give_up(_request, _error):
    return Response(status_code=400)  # nobody is there to read it


async def refuse_input(_request, error):
    return JSONResponse({"error": str(error)}, STATUS[type(error)])


for kind in STATUS:
    app.add_exception_handler(kind, refuse_input)


@app.get("/", include_in_schema=False)
async def page():
    return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)


@app.get("/docs", include_in_schema=False)
async def docs():
    return FileResponse(PAGE / "docs.html", headers=PAGE_HEADERS)


@app.get("/models", summary="What is served", response_model=list[schema.Model], responses=schema.errors(503))
async def models(request: Request):
    """Each artefact's own description, the hash of its file and where it runs."""
    predictor = _predictor(request)
    return [
        {"name": name, "sha256": artefact.sha256, "device": artefact.device, "metadata": artefact.metadata}
        for name, artefact in predictor.artefacts.items()
    ]


@app.post(
    "/predict",
    summary="Read one digit",
    response_model=schema.Prediction,
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.upload(FIELD),
)
async def predict(request: Request, models: str | None = schema.MODELS, explain: bool = schema.EXPLAIN):
    """Send one image, as the multipart field `image` or as the raw body."""
    started = time.perf_counter()
    predictor = _predictor(request)
    names = predictor.choose(models)
    state = request.app.state
    data = await image_of(request, FIELD, state.settings.max_bytes)
    work = partial(_predict, predictor, names, data, state.settings, explain, time.perf_counter())
    answer = await anyio.to_thread.run_sync(work, limiter=state.readers)
    answer["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return JSONResponse(answer)


@app.post(
    "/read",
    summary="Read any number of digits",
    response_model=schema.Text,
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.upload(FIELD),
)
async def read_digits(request: Request, models: str | None = schema.MODELS):
    """Send one image, as the multipart field `image` or as the raw body; its digits come line by line."""
    started = time.perf_counter()
    predictor = _predictor(request)
    names = predictor.choose(models)
    state = request.app.state
    data = await image_of(request, FIELD, state.settings.max_bytes)
    work = partial(describe_page, predictor, names, data, state.settings)
    answer = await anyio.to_thread.run_sync(work, limiter=state.readers)
    answer["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return JSONResponse(answer)


@app.post(
    "/predict/batch",
    summary="Read one digit from each of several images",
    response_model=list[schema.Prediction | schema.Error],
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.uploads(BATCH_FIELD),
)
async def predict_batch(request: Request, models: str | None = schema.MODELS, explain: bool = schema.EXPLAIN):
    """Send them as multipart fields `images`. The answers come in order; one that cannot be read hurts no other."""
    started = time.perf_counter()
    predictor, state = _predictor(request), request.app.state
    names = predictor.choose(models)
    files = await images_of(request, BATCH_FIELD, state.settings.max_bytes, state.settings.max_batch)
    seen = [None] * len(files)

    async def look(index):
        try:
            work = partial(see, files[index], state.settings.max_pixels, state.settings.formats)
            seen[index] = await anyio.to_thread.run_sync(work, limiter=state.readers)
        except InvalidImage as error:
            seen[index] = error

    async with anyio.create_task_group() as group:
        for index in range(len(files)):
            group.start_soon(look, index)
    arrived = time.perf_counter()
    work = partial(_describe_all, predictor, names, seen, explain, arrived)
    answers = await anyio.to_thread.run_sync(work, limiter=state.readers)
    for answer in answers:
        if "timing_ms" in answer:
            answer["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return JSONResponse(answers)


def _describe_all(predictor, names, seen, explain, arrived):
    """A prediction for each upload that was seen, an error for each that was not, in order."""
    waited = (time.perf_counter() - arrived) * 1e3
    results = [{"error": str(one)} for one in seen]
    good = [index for index, one in enumerate(seen) if isinstance(one, Seen)]
    if good:
        answers = predictor.classify(np.stack([seen[index].canonical.image[None] for index in good]), names)
        for row, index in enumerate(good):
            results[index] = describe(seen[index], answers, row, predictor.device, waited, explain)
    return results


def _predict(predictor, names, data, settings, explain, arrived):
    waited = (time.perf_counter() - arrived) * 1e3
    seen = see(data, settings.max_pixels, settings.formats)
    answers = predictor.classify(seen.canonical.image[None, None], names)
    return describe(seen, answers, 0, predictor.device, waited, explain)


def _predictor(request):
    predictor = getattr(request.app.state, "predictor", None)
    if predictor is None:
        raise HTTPException(503, "The models are still being loaded; try again.")
    return predictor
