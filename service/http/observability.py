"""What is noted of each request: its id, its numbers in the metrics, its line in the log, its trace."""

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..answers import Error, Prediction, Text
from .metrics import UNMATCHED, Metrics

logger = logging.getLogger("bentoml.quintet")  # a child of BentoML's logger, whose handler shows it

ID = b"x-request-id"
SANE = re.compile(rb"[A-Za-z0-9._:=+/-]{1,128}")  # a client's own id that is kept; any other is replaced
WORK = "POST"  # the method of all routes that read images
LINGER = 2.0  # seconds that a client gets to read an answer that it receives before it has sent everything

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)  # id of the current request


@dataclass
class Health:
    """Whether this worker should be sent requests: not while it ends, and not after its models failed for good."""

    is_ready: bool = True
    on_failure: Callable[[], None] = lambda: None  # called once, when the models failed for good

    def fail(self) -> None:
        if self.is_ready:
            self.is_ready = False
            self.on_failure()


class Exchange:
    """A request and its answer, from the first byte of the one to the last of the other.

    An answer that begins before the body is complete closes the connection after LINGER: closing it at once would reset
    it, and the client could lose the answer. So does every answer of a worker that ends, because a client whose next
    request finds no worker gets no answer. Times are seconds by time.perf_counter.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, is_ready: bool) -> None:
        self.scope, self._receive, self._send, self._is_ready = scope, receive, send, is_ready
        self.started = time.perf_counter()
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(ID, b"")
        self.id = given if SANE.fullmatch(given) else secrets.token_hex(16).encode()
        is_empty = self.headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in self.headers
        self.arrived = self.started if is_empty else 0.0  # when the body was complete; 0 if it never was
        self.finished = 0.0
        self.received = 0  # bytes of the body that have arrived
        self.status = 500  # of the answer, or 500 if an exception was raised before it began
        self.is_answered = False  # whether the answer has begun
        self.on_progress: Callable[[int], None] | None = None  # called for each part of the body, with its bytes
        self.on_arrival: Callable[[], None] | None = None  # called once, when the whole body has arrived
        self._is_early = False

    @property
    def route(self) -> str:
        """The path of the route that matched, which no client can choose: it is safe in metrics and log."""
        route = self.scope.get("route")
        return UNMATCHED if route is None else route.path

    @property
    def answers(self) -> Sequence[Prediction | Text | Error]:
        """What the route has answered, if it reads images."""
        return self.scope.get("state", {}).get("answers", ())

    async def receive(self) -> Message:
        message = await self._receive()
        if self.arrived or message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self.received += size
        if self.on_progress is not None:
            self.on_progress(size)
        if not message.get("more_body", False):
            self.arrived = time.perf_counter()
            if self.on_arrival is not None:
                self.on_arrival()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.is_answered, self.status = True, message["status"]
            self._is_early = not self.arrived
            headers = [*message.get("headers", ()), (ID, self.id), (b"x-content-type-options", b"nosniff")]
            if self._is_early or not self._is_ready:
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        elif self._is_early and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            self.on_progress = self.on_arrival = None
            with anyio.move_on_after(LINGER):
                while not self.arrived and (await self.receive())["type"] == "http.request":
                    pass
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


Listener = Callable[[Exchange], None]


class Observer:
    """ASGI middleware around everything else.

    It makes an id for each request or takes the client's, and tells metrics and `listeners` of the request. Inside, the
    `Exchange` is in the scope.
    """

    def __init__(self, app: ASGIApp, health: Health, metrics: Metrics, listeners: Sequence[Listener] = ()) -> None:
        self.app, self.health, self.metrics, self.listeners = app, health, metrics, listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = scope["exchange"] = Exchange(scope, receive, send, self.health.is_ready)
        # It is not reset: each request has its own context, and the server logs an exception after this returns.
        request_id.set(exchange.id.decode())
        works = exchange.method == WORK
        self.metrics.waiting.add(amount=works)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            exchange.finished = time.perf_counter()
            self.metrics.waiting.add(amount=-works)
            seconds = exchange.finished - (exchange.arrived or exchange.started)
            self.metrics.took(exchange.route, exchange.status, seconds, exchange.received if works else None)
            for answer in exchange.answers:
                self.metrics.answered(answer)
            for tell in self.listeners:
                tell(exchange)


class JsonFormatter(logging.Formatter):
    """Each line is an object with time, level, logger and message, and with request_id, fields and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (own := request_id.get()) is not None:
            line["request_id"] = own
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def use_json() -> None:
    """Make every handler of this process write lines of JSON."""
    names = [name for name, found in logging.root.manager.loggerDict.items() if isinstance(found, logging.Logger)]
    for handler in {handler for name in [None, *names] for handler in logging.getLogger(name).handlers}:
        handler.setFormatter(JsonFormatter())


def log_request(exchange: Exchange) -> None:
    """Write the line of a request into the log."""
    seconds = exchange.finished - exchange.started
    fields = {
        "request_id": exchange.id.decode(),
        "method": exchange.method,
        "route": exchange.route,
        "status": exchange.status,
        "seconds": round(seconds, 6),
    }
    text = "%s %s %d in %.1f ms, request %s"
    what = exchange.method, exchange.route, exchange.status, seconds * 1e3, exchange.id.decode()
    logger.info(text, *what, extra={"fields": fields})
