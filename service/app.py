"""The HTTP application: uploads in, one sentence of JSON out when something is wrong with them."""

import base64
import time
from io import BytesIO
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from PIL import Image
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from service import schema
from service.image import canonicalise
from service.predictor import Predictor, UnknownModel
from service.settings import Settings
from service.upload import ImageTooLarge, InvalidImage, grey_from_upload

PAGE = Path(__file__).parent / "page"
FIELD = "image"  # of a multipart upload
FRAMING = 65_536  # bytes that a multipart body may have around the image
STATUS = {InvalidImage: 400, UnknownModel: 404, ImageTooLarge: 413}
DECIMALS = 6  # of probabilities

app = FastAPI(
    title="Quintet",
    version="0.1.0",
    description="Five networks read a handwritten digit: a CNN, Faster R-CNN, VGG16, AlexNet and a Vision Transformer.",
    redoc_url=None,
)
app.mount("/page", StaticFiles(directory=PAGE), name="page")


def serve(predictor: Predictor, settings: Settings):
    """Give the application what it answers with; until then it is not ready."""
    app.state.predictor, app.state.settings = predictor, settings


@app.exception_handler(HTTPException)
async def refuse(_request, error):
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


@app.exception_handler(RequestValidationError)
async def refuse_parameter(_request, error):
    first = error.errors()[0]
    return JSONResponse({"error": f"Parameter {first['loc'][-1]!r}: {first['msg']}."}, 422)


async def refuse_input(_request, error):
    return JSONResponse({"error": str(error)}, STATUS[type(error)])


for kind in STATUS:
    app.add_exception_handler(kind, refuse_input)


@app.get("/", include_in_schema=False)
async def page():
    return FileResponse(PAGE / "index.html")


@app.get("/models", response_model=list[schema.Model], responses=schema.errors(503))
async def models(request: Request):
    """What is served: each artefact's own description, the hash of its file and where it runs."""
    predictor = _predictor(request)
    return [
        {"name": name, "sha256": artefact.sha256, "device": artefact.device, "metadata": artefact.metadata}
        for name, artefact in predictor.artefacts.items()
    ]


@app.post(
    "/predict",
    response_model=schema.Prediction,
    responses=schema.errors(400, 404, 413, 415, 422, 503),
    openapi_extra=schema.upload(FIELD),
)
async def predict(request: Request, models: str | None = schema.MODELS, explain: bool = schema.EXPLAIN):
    """Read one digit from one image, sent as the multipart field `image` or as the raw body."""
    started = time.perf_counter()
    predictor = _predictor(request)
    names = predictor.choose(models)
    data = await _image_of(request)
    limit = request.app.state.settings.max_pixels
    answer = await anyio.to_thread.run_sync(_predict, predictor, names, data, limit, explain)
    answer["timing_ms"]["total"] = round((time.perf_counter() - started) * 1e3, 3)
    return JSONResponse(answer)


def _predict(predictor, names, data, max_pixels, explain):
    started = time.perf_counter()
    picture, reduced = grey_from_upload(data, max_pixels)
    decoded = time.perf_counter()
    canonical = canonicalise(picture)
    framed = time.perf_counter()
    answers = predictor.classify(canonical.image[None, None], names)
    verdict = answers.verdicts[0]
    result = {
        "digit": verdict.digit,
        "confidence": round(verdict.confidence, DECIMALS),
        "accepted": verdict.accepted,
        "agreement": verdict.agreement,
        "models": [_model(name, answer, canonical, reduced) for name, answer in answers.by_name.items()],
        "timing_ms": {
            "decode": round((decoded - started) * 1e3, 3),
            "canonicalise": round((framed - decoded) * 1e3, 3),
            "queue": round(answers.queue_ms, 3),
            "inference": round(answers.inference_ms, 3),
        },
        "device": predictor.device,
    }
    if explain:
        result["explain"] = {"image": _data_url(canonical.image)}
    return result


def _model(name, answer, canonical, reduced):
    probabilities = answer.probabilities[0]
    result = {
        "name": name,
        "digit": int(probabilities.argmax()),
        "confidence": round(float(probabilities.max()), DECIMALS),
        "probabilities": [round(float(p), DECIMALS) for p in probabilities],
        "latency_ms": round(answer.milliseconds, 3),
    }
    if answer.boxes is not None:
        result["box"] = [round(value * reduced, 1) for value in canonical.to_picture(answer.boxes[0])]
    return result


def _data_url(image):
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _predictor(request):
    predictor = getattr(request.app.state, "predictor", None)
    if predictor is None:
        raise HTTPException(503, "The models are still being loaded; try again.")
    return predictor


async def _image_of(request):
    """The bytes of the uploaded image: the multipart field, or the body of an image/* request."""
    limit = request.app.state.settings.max_bytes
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return await _field_of(request, await _body_of(request, limit + FRAMING), limit)
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return await _body_of(request, limit)
    given = f"Content-Type {content_type[:80]!r} is" if content_type else "A body without a Content-Type is"
    message = f"{given} not allowed; send the image as the multipart field {FIELD!r} or as an image/* body."
    raise HTTPException(415, message)


async def _field_of(request, body, limit):
    async def stream():
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=1).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"The multipart body is damaged: {error.message.rstrip('.')}.") from error
    try:
        value = form.get(FIELD)
        if value is None:
            fields = ", ".join(repr(name[:40]) for name in form) or "none"
            raise HTTPException(422, f"The multipart field {FIELD!r} is missing; the fields sent: {fields}.")
        if not isinstance(value, UploadFile):
            message = f"The multipart field {FIELD!r} holds text; send the file itself (an address is never fetched)."
            raise HTTPException(422, message)
        data = await value.read()
    finally:
        await form.close()
    if len(data) > limit:
        raise _too_large(len(data), limit)
    return data


async def _body_of(request, limit):
    """The body, counted while it arrives."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(size, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(size, limit):
    message = f"The upload has at least {size} bytes; the limit is {limit}."
    return HTTPException(413, message)
