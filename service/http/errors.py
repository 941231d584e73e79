"""Turn every exception into an answer with a status and one sentence: `{"error": "..."}`.

The sentences stand where the exceptions are raised: those about pictures in service/picture, about bodies in body.py,
about limits in gate.py.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ..inference.device import DeviceLost
from ..inference.predictor import UnknownModel
from ..picture.errors import ImageTooLarge, InvalidImage, OutOfTime

STATUS: dict[type[Exception], int] = {
    InvalidImage: InvalidImage.status,
    UnknownModel: 404,
    ImageTooLarge: ImageTooLarge.status,
    OutOfTime: 504,
}
LOST = "The models failed and are being loaded again; try again."  # the sentence of a 503
NO_ROUTE = "No such route; see /docs."
FAILED = "The service failed; its log says why."  # the sentence of a 500


def add_error_handlers(app: FastAPI, on_lost_device: Callable[[], None] | None = None) -> None:
    """on_lost_device: called when the models can no longer run."""

    async def lost(_request: Request, _error: Exception) -> Response:
        if on_lost_device is not None:
            on_lost_device()
        return JSONResponse({"error": LOST}, 503)

    app.add_exception_handler(DeviceLost, lost)
    for kind, status in STATUS.items():
        app.add_exception_handler(kind, _refusal(status))
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_parameter)
    app.add_exception_handler(ClientDisconnect, _give_up)
    app.add_exception_handler(Exception, _fail)


def _refusal(status: int) -> Any:
    async def refuse(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status)

    return refuse


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _refuse_parameter(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"Parameter {first['loc'][-1]!r}: {first['msg']}."}, 422)


async def _give_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it, because the client has disconnected


async def _fail(_request: Request, _error: Exception) -> Response:
    """Answer 500. Starlette raises the error again afterwards, so that uvicorn logs its traceback."""
    return JSONResponse({"error": FAILED}, 500)
