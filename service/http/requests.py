"""Give each request an id, and record its times if logs or traces need them."""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..timeline import Stage, stages

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._:=+/-]{1,128}")  # a client's own id that is kept; any other is replaced

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # id of the current request


@dataclass(kw_only=True)
class Record:
    """A request from its first byte to the end of its answer."""

    id: str
    method: str
    route: str  # the path; unknown paths share one, see `known_paths`
    headers: dict[str, str]
    started: float  # seconds by time.perf_counter, like all times here
    arrived: float = 0.0  # when the body was complete; 0 if it never was
    finished: float = 0.0
    status: int = 500  # status of the answer, or 500 if the application raised an exception
    stages: list[Stage] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.finished - self.started


Listener = Callable[[Record], None]


class Requests:
    """ASGI middleware that echoes X-Request-ID, or makes one, and calls `listeners` with each answered request."""

    def __init__(self, app: ASGIApp, listeners: Sequence[Listener]) -> None:
        self.app, self.listeners = app, listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, headers = time.perf_counter(), dict(scope["headers"])
        given = headers.get(HEADER, b"")
        own = given if SANE.fullmatch(given) else secrets.token_hex(16).encode()
        # It is not reset: each request has its own context, and the server logs an exception after this returns.
        request_id.set(own.decode())
        if not self.listeners:
            await self.app(scope, receive, _with_id(send, own, None))
            return
        record = Record(
            id=own.decode(),
            method=scope["method"],
            route=scope["path"],
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()},
            started=started,
        )
        stages.set(record.stages)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False) and not record.arrived:
                record.arrived = time.perf_counter()
            return message

        try:
            await self.app(scope, receiving, _with_id(send, own, record))
        finally:
            record.finished = time.perf_counter()
            for tell in self.listeners:
                tell(record)


def _with_id(send: Send, own: bytes, record: Record | None) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (HEADER, own)]}
            if record is not None:
                record.status = message["status"]
        await send(message)

    return sending
