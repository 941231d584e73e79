"""Who may ask, how many at once and for how long: what comes before every route, BentoML's own included."""

import hmac

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

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
        uploading, answering = self.settings.upload_timeout, self.settings.timeout
        with anyio.CancelScope(deadline=anyio.current_time() + uploading) as time:

            def start_answering():
                time.deadline = anyio.current_time() + answering

            exchange.on_arrival(start_answering)
            await self.app(exchange.scope, exchange.receive, exchange.send)
        if time.cancelled_caught and not exchange.answered:
            if exchange.arrived:
                await exchange.refuse(504, f"The answer took longer than {answering:g} s; try again.")
            else:
                await exchange.refuse(408, f"The body did not arrive within {uploading:g} s.")


class Exchange:
    """A request and its answer, and how far both have come.

    Who answers before the body is there stops it: the connection is closed, but not before the client had a moment to
    see the answer, for a closed connection takes with it what was not yet read.
    """

    def __init__(self, scope, receive, send):
        self.scope, self._receive, self._send = scope, receive, send
        headers = Headers(scope=scope)
        self.arrived = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        self.answered = False
        self._early = False
        self._arrival = None

    def on_arrival(self, call):
        """Call it when the whole body is there, now if it is."""
        self._arrival = call
        if self.arrived:
            call()

    async def receive(self):
        message = await self._receive()
        if not self.arrived and not message.get("more_body", False):
            self.arrived = True
            if self._arrival is not None:
                self._arrival()
        return message

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.answered = True
            self._early = not self.arrived
            if self._early:
                message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
        elif self._early and not message.get("more_body", False):
            await self._send(message | {"more_body": True})
            with anyio.move_on_after(LINGER):
                while not self.arrived:
                    await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def refuse(self, status, sentence, headers=None):
        await JSONResponse({"error": sentence}, status, headers)(self.scope, self.receive, self.send)
