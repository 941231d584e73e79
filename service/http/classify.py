"""Guard BentoML's own endpoint: accept only JSON, limit its body, and give errors the form of the other routes.

BentoML 1.4.39 (`_bentoml_impl`) reads a body of any size, lets its Content-Type choose the decoder, forms and (behind a
check) pickle included, and answers errors as a list or as several lines of pydantic's.
"""

import json
import logging
from typing import Any

import numpy as np
from bentoml.exceptions import BentoMLException
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .body import body_of, content_type_of, wrong_type
from .errors import FAILED

JSON = "application/json"


def digit_images(value: Any) -> np.ndarray:
    """Convert the JSON value `images` to (N, 28, 28) uint8. Raises ValueError if it is anything else."""
    try:
        images = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("The images must all be 28 x 28 pixels.") from error
    if images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"The images have the shape {images.shape}; it must be (N, 28, 28).")
    if images.dtype.kind not in "iu" or images.min() < 0 or images.max() > 255:
        raise ValueError("The pixels must be whole numbers from 0, background, to 255, ink.")
    return images.astype(np.uint8)


class NativeEndpoint:
    """ASGI middleware for the one path of a BentoML-native endpoint."""

    def __init__(self, app: ASGIApp, path: str, max_bytes: int, max_images: int) -> None:
        self.app, self.path, self.max_bytes, self.max_images = app, path, max_bytes, max_images
        # How often a character may occur, and the error otherwise. Parsing makes an object of each value: 10 MB of
        # "[],[]," took 700 MB and 4 s. numpy makes all strings of a list as long as the longest: 300 kB took 350 MB.
        self.allowed = {
            b'"': (2, "text, but images are lists of numbers"),
            b"{": (1, "objects, but images are lists of numbers"),
            b",": (max_images * 28 * 28, f"more numbers than {max_images} images have"),
            b"[": (max_images * (1 + 28) + 1, f"more lists than {max_images} images have"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        if scope["method"] != "POST":
            await JSONResponse({"error": "Method Not Allowed"}, 405, {"Allow": "POST"})(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            if (content_type := content_type_of(request)) not in ("", JSON):
                raise wrong_type(content_type, f"send the images as {JSON}")
            body = await body_of(request, self.max_bytes)
            self._count(body)
        except HTTPException as error:
            await JSONResponse({"error": error.detail}, error.status_code)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        failed: int | None = None
        parts: list[bytes] = []

        async def replay() -> Message:
            return next(messages, None) or await receive()

        async def pass_on(message: Message) -> None:
            nonlocal failed
            if message["type"] == "http.response.start" and message["status"] >= 400:
                failed = message["status"]
            if failed is None:
                await send(message)
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, replay, pass_on)
        if failed is not None:
            await JSONResponse({"error": explain(failed, b"".join(parts))}, failed)(scope, receive, send)

    def _count(self, body: bytes) -> None:
        for character, (most, what) in self.allowed.items():
            if body.count(character) > most:
                raise HTTPException(413, f"The body holds {what}.")


class _Fault(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, ValidationError) and not (
            isinstance(error, BentoMLException) and error.error_code < 500
        )


is_fault = _Fault()  # a filter of the log: drops BentoML's tracebacks of errors that the client has caused


def explain(status: int, answer: bytes) -> str:
    """The sentence in an error that BentoML answered, which has one of several forms."""
    if status >= 500:
        return FAILED
    try:
        content = json.loads(answer)
        content = content[0] if isinstance(content, list) else content
        detail = content.get("detail")
        return detail[0]["msg"].removeprefix("Value error, ") if detail else content["error"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "The request cannot be read."
