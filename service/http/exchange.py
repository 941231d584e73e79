"""Follow one request and its answer, for the gate in front of all routes."""

from collections.abc import Callable

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from .body import is_empty

LINGER = 2.0  # seconds that a client gets to read an answer that it receives before it has sent everything


class Exchange:
    """Knows how much of the body has arrived and whether the answer has begun.

    An answer that begins before the body is complete closes the connection after LINGER. Closing it at once would reset
    it, and the client could lose the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self._receive, self._send = scope, receive, send
        self.arrived = is_empty(Headers(scope=scope))  # whether the whole body has arrived
        self.received = 0  # bytes of the body that have arrived
        self.closes = False  # whether the connection closes after the answer
        self.on_progress: Callable[[int], None] | None = None  # called for each part of the body, with its bytes
        self.on_arrival: Callable[[], None] | None = None  # called once, when the whole body has arrived
        self._answered = self._refused = self._early = False

    async def receive(self) -> Message:
        message = await self._receive()
        if self.arrived or message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self.received += size
        if self.on_progress is not None:
            self.on_progress(size)
        if not message.get("more_body", False):
            self.arrived = True
            if self.on_arrival is not None:
                self.on_arrival()
        return message

    def mute(self) -> None:
        """Drop what the application sends from now on, unless its answer has begun."""
        self._refused = not self._answered

    async def send(self, message: Message) -> None:
        if not self._refused:
            await self._pass_on(message)

    async def refuse(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        """Answer instead of the application, unless its answer has begun."""
        if not self._answered:
            self.mute()
            await JSONResponse({"error": sentence}, status, headers)(self.scope, self.receive, self._pass_on)

    async def _pass_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answered = True
            self._early = not self.arrived
            if self._early or self.closes:
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        elif self._early and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            self.on_progress = self.on_arrival = None
            with anyio.move_on_after(LINGER):
                while not self.arrived and (await self.receive())["type"] == "http.request":
                    pass
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
