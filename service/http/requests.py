"""A record of each request, kept where logs or traces ask for it, and the id that finds it again."""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.timeline import Stage, stages

HEADER = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._:=+/-]{1,128}")  # of a client's own id; anything else is replaced

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # of the request that is worked for


@dataclass(kw_only=True)
class Record:
    """A request from its first byte to the end of its answer."""

    id: str
    method: str
    route: str  # its path, or the one that unknown paths share
    headers: dict[str, str]
    started: float  # seconds, by time.perf_counter, as all times here
    arrived: float = 0.0  # when its body was complete; 0: it never was
    finished: float = 0.0
    status: int = 500  # of the answer; 500 also where the application raised instead of answering
    stages: list[Stage] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.finished - self.started


Listener = Callable[[Record], None]


class Requests:
    """ASGI middleware: echoes X-Request-ID, or makes one, and tells each of `listeners` of answered requests."""

    def __init__(self, app: ASGIApp, listeners: Sequence[Listener]) -> None:
        self.app, self.listeners = app, listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, headers = time.perf_counter(), dict(scope["headers"])
        given = headers.get(HEADER, b"")
        own = given if SANE.fullmatch(given) else secrets.token_hex(16).encode()
        # It stays set after an exception, for what the server logs of it: each request has a context of its own.
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
