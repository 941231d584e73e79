"""Who may ask, how many at once and for how long: what comes before every route, BentoML's own included."""

import asyncio
import hmac

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from service.body import is_empty
from service.labels import UNKNOWN

# Without a key: health, and the files of the page and of the description, which hold no secret.
OPEN = {"/", "/livez", "/readyz", "/healthz", "/docs", "/openapi.json", UNKNOWN}
OPEN_FOLDER = "/page/"
WORK = "POST"  # the method of all routes that read images
RETRY = 1  # seconds that a refused client should wait
LINGER = 2  # seconds for a client to notice that it was answered before it had sent everything


class Gate:
    """ASGI middleware."""

    def __init__(self, app, settings):
        self.app, self.settings = app, settings
        self.key = settings.api_key and settings.api_key.get_secret_value().encode()
        self.inside = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        if not self._may_ask(scope):
            message = "The API key is missing or wrong; send it as a header: 'Authorization: Bearer KEY'."
            await exchange.refuse(401, message, {"WWW-Authenticate": "Bearer"})
        elif scope["path"] == UNKNOWN:
            await exchange.refuse(404, "There is nothing here; /docs describes what there is.")
        elif scope["method"] != WORK:
            await self.app(scope, exchange.receive, exchange.send)
        elif self.inside >= self.settings.concurrency:
            message = f"The service is busy with {self.inside} requests; try again in {RETRY} s."
            await exchange.refuse(429, message, {"Retry-After": str(RETRY)})
        else:
            self.inside += 1
            try:
                await self._answer_in_time(exchange)
            finally:
                self.inside -= 1

    def _may_ask(self, scope):
        if self.key is None or scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDER):
            return True
        scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key, self.key)  # in constant time

    async def _answer_in_time(self, exchange):
        """Work that is running in a thread cannot be stopped: its client is told in time, its place is kept."""
        uploading, answering = self.settings.upload_timeout, self.settings.timeout
        stop = anyio.CancelScope()

        async def answer():
            with stop:
                await self.app(exchange.scope, exchange.receive, exchange.send)

        work = asyncio.create_task(answer())
        await asyncio.wait({work, exchange.arrival}, timeout=uploading, return_when=asyncio.FIRST_COMPLETED)
        if exchange.arrival.done():
            await asyncio.wait({work}, timeout=answering)
        if not work.done():
            stop.cancel()
            if exchange.arrival.done():
                await exchange.refuse(504, f"The answer took longer than {answering:g} s; try again.")
            else:
                await exchange.refuse(408, f"The body did not arrive within {uploading:g} s.")
        await work


class Exchange:
    """A request and its answer, and how far both have come.

    Who answers before the body is there stops it: the connection is closed, but not before the client had a moment to
    see the answer, for a closed connection takes with it what was not yet read.
    """

    def __init__(self, scope, receive, send):
        self.scope, self._receive, self._send = scope, receive, send
        self.arrival = asyncio.get_running_loop().create_future()  # done when the whole body is there
        self._answered = self._refused = self._early = False
        if is_empty(Headers(scope=scope)):
            self.arrival.set_result(None)

    async def receive(self):
        message = await self._receive()
        if not message.get("more_body", False) and not self.arrival.done():
            self.arrival.set_result(None)
        return message

    async def send(self, message):
        if not self._refused:
            await self._pass_on(message)

    async def refuse(self, status, sentence, headers=None):
        """Answer instead of the application, unless it has begun to."""
        if not self._answered:
            self._refused = True
            await JSONResponse({"error": sentence}, status, headers)(self.scope, self.receive, self._pass_on)

    async def _pass_on(self, message):
        if message["type"] == "http.response.start":
            self._answered = True
            self._early = not self.arrival.done()
            if self._early:
                message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
        elif self._early and not message.get("more_body", False):
            await self._send(message | {"more_body": True})
            with anyio.move_on_after(LINGER):
                while not self.arrival.done():
                    await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
