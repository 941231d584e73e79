"""Turn every exception into an answer with a status and one sentence: `{"error": "..."}`.

The sentences stand where the exceptions are raised: those about pictures in service/picture, about requests in body.py,
about limits in gate.py.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..inference.device import DeviceLost
from ..inference.predictor import UnknownModel
from ..picture.errors import InvalidImage, OutOfTime

LOST = "The models failed and are being loaded again; try again."  # the sentence of a 503
NO_ROUTE = "No such route; see /docs."
FAILED = "The service failed; its log says why."  # the sentence of a 500

Handler = Callable[[Request, Any], Awaitable[Response]]


def handlers(on_lost_device: Callable[[], None]) -> dict[Any, Handler]:
    """What answers each kind of exception. on_lost_device: called when the models can no longer run."""

    async def lost(_request: Request, _error: DeviceLost) -> Response:
        on_lost_device()
        return error(503, LOST)

    return {
        DeviceLost: lost,
        InvalidImage: _say,
        UnknownModel: _say,
        OutOfTime: _say,
        HTTPException: _refuse,
        ClientDisconnect: _give_up,
        Exception: _fail,
    }


def error(status: int, sentence: str, headers: Any = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


async def _say(_request: Request, found: InvalidImage | UnknownModel | OutOfTime) -> Response:
    return error(found.status, str(found))


async def _refuse(request: Request, found: HTTPException) -> Response:
    sentence = found.detail
    if (found.status_code, sentence) == (404, "Not Found"):  # Starlette's own words
        sentence = NO_ROUTE
    elif found.status_code == 405 and found.headers:
        sentence = f"{request.method} is not allowed here; use {found.headers['Allow']}."
    return error(found.status_code, sentence, found.headers)


async def _fail(_request: Request, _found: Exception) -> Response:
    """Answer 500. Starlette raises the exception again afterwards, so that uvicorn logs its traceback."""
    return error(500, FAILED)


async def _give_up(_request: Request, _found: ClientDisconnect) -> Response:
    return Response(status_code=400)  # nobody reads it, because the client has disconnected
