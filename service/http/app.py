"""The HTTP application: uploads in, one sentence of JSON out when something is wrong with them."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated, get_type_hints

import anyio.to_thread
import numpy as np
from anyio import CapacityLimiter
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import request_response

from service.answer import answer, describe, describe_page, see
from service.http import schema
from service.http.body import image_of, images_of
from service.inference.batcher import Batcher
from service.inference.predictor import Predictor, UnknownModel
from service.picture.decode import FORMATS, ImageTooLarge, InvalidImage
from service.settings import Settings

PAGE = Path(__file__).parent.parent / "page"
EXAMPLES = Path(__file__).parents[2] / "examples"
PAGE_HEADERS = {
    # Nothing from another host, no inline script or style; images also from the clipboard and out of an answer.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # an old page with a new script fails
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


class Direct(APIRoute):
    """A route that is described like any other, and served without FastAPI's way from a request to arguments.

    That way takes a fifth of the time that a small image does.
    """

    def __init__(self, path, endpoint, **keywords):
        super().__init__(path, endpoint, **keywords)
        kind = get_type_hints(endpoint)["wanted"]

        async def handle(request):
            try:
                wanted = kind.model_validate(dict(request.query_params))
            except ValidationError as error:
                raise RequestValidationError(error.errors()) from error
            return await endpoint(request, wanted)

        self.app = request_response(handle)


class Files(StaticFiles):
    """Files that a browser asks for again, and gets again only if they changed: an old script with a new page fails."""

    def file_response(self, *arguments, **keywords):
        response = super().file_response(*arguments, **keywords)
        response.headers["Cache-Control"] = "no-cache"
        return response


app.mount("/page/examples", Files(directory=EXAMPLES), name="examples")
app.mount("/page/swagger", Files(packages=[("fastapi_standalone_docs", "static/swagger")]), name="swagger")
app.mount("/page", Files(directory=PAGE), name="page")


def serve(predictor: Predictor, settings: Settings, observe=lambda prediction: None):
    """Give the application what it answers with; until then it is not ready. `observe` is told of each prediction."""
    see((EXAMPLES / "seven.png").read_bytes(), 10**6, FORMATS)  # so that decoders and OpenCV have loaded what they need
    app.state.batcher, app.state.settings, app.state.observe = Batcher(predictor), settings, observe
    # An image is decoded to many times the size of its upload: only as many at once as there are cores for, and one
    # more, since one of them may be with the models: else nobody would arrive while they are busy.
    app.state.readers = CapacityLimiter(settings.threads + 1)


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


async def refuse_input(status, _request, error):
    return JSONResponse({"error": str(error)}, status)


for kind, status in STATUS.items():
    app.add_exception_handler(kind, partial(refuse_input, status))


@app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def page():
    return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)


@app.get("/docs", include_in_schema=False)
async def docs():
    return FileResponse(PAGE / "docs.html", headers=PAGE_HEADERS)


@app.get(
    "/models",
    summary="What is served",
    response_model=list[schema.Model],
    responses=schema.errors(401, 503),
    dependencies=[schema.KEY],
    openapi_extra=schema.OPEN,
)
async def models(request: Request):
    """Each artefact's own description, the hash of its file and where it runs."""
    state, names = _served(request, None)
    artefacts = {name: state.batcher.predictor.artefacts[name] for name in names}
    return [
        {"name": name, "sha256": artefact.sha256, "device": artefact.device, "metadata": artefact.metadata}
        for name, artefact in artefacts.items()
    ]


work = APIRouter(route_class=Direct, dependencies=[schema.KEY])


@work.post(
    "/predict",
    summary="Read one digit",
    response_model=schema.Prediction,
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.upload(FIELD),
)
async def predict(request: Request, wanted: Annotated[schema.Wanted, Query()]):
    """Send one image, as the multipart field `image` or as the raw body."""
    started = time.perf_counter()
    state, names = _served(request, wanted.models)
    data = await image_of(request, FIELD, state.settings.max_bytes)
    prediction = await answer(data, state.batcher, names, state.settings, state.readers, wanted.explain)
    state.observe(prediction)
    return JSONResponse(_timed(prediction, started))


@work.post(
    "/predict/batch",
    summary="Read one digit from each of several images",
    response_model=list[schema.Prediction | schema.Error],
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.uploads(BATCH_FIELD),
)
async def predict_batch(request: Request, wanted: Annotated[schema.Wanted, Query()]):
    """Send them as multipart fields `images`. The answers come in order; one that cannot be read hurts no other."""
    started = time.perf_counter()
    state, names = _served(request, wanted.models)
    files = await images_of(request, BATCH_FIELD, state.settings.max_bytes, state.settings.max_batch)
    arrived, results, seen = time.perf_counter(), [None] * len(files), {}

    async def look(index):
        try:
            decoding = partial(see, files[index], state.settings.max_pixels, state.settings.formats, arrived)
            seen[index] = await anyio.to_thread.run_sync(decoding, limiter=state.readers)
        except InvalidImage as error:
            results[index] = {"error": str(error)}

    async with anyio.create_task_group() as group:
        for index in range(len(files)):
            group.start_soon(look, index)
    if seen:
        images = np.concatenate([one.images for one in seen.values()])
        shares = await state.batcher.each(images, names)
        for (index, one), share in zip(seen.items(), shares, strict=True):
            prediction = describe(one, share, state.batcher.predictor.device, wanted.explain)
            state.observe(prediction)
            results[index] = _timed(prediction, started)
    return JSONResponse(results)


@work.post(
    "/read",
    summary="Read any number of digits",
    response_model=schema.Text,
    responses=schema.errors(400, 401, 404, 408, 413, 415, 422, 429, 503, 504),
    openapi_extra=schema.upload(FIELD),
)
async def read_digits(request: Request, wanted: Annotated[schema.Choice, Query()]):
    """Send one image, as the multipart field `image` or as the raw body; its digits come line by line."""
    started = time.perf_counter()
    state, names = _served(request, wanted.models)
    data = await image_of(request, FIELD, state.settings.max_bytes)
    reading = partial(describe_page, state.batcher.predictor, names, data, state.settings)
    text = await anyio.to_thread.run_sync(reading, limiter=state.readers)
    return JSONResponse(_timed(text, started))


app.router.routes += work.routes
# The same routes, handlers and state without FastAPI's own middleware, which these routes have no use for.
direct = Starlette(routes=work.routes, exception_handlers=app.exception_handlers)
direct.state = app.state


def _served(request, models):
    """What the application answers with, and the names of the chosen models. Raises HTTPException, UnknownModel."""
    state = request.app.state
    if getattr(state, "batcher", None) is None:
        raise HTTPException(503, "The models are still being loaded; try again.")
    return state, state.batcher.predictor.choose(models)


def _timed(result, started):
    result["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return result
