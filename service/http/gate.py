"""Who may ask, how many at once and for how long: what comes before every route, BentoML's own included."""

import asyncio
import hmac
import time

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from service.http import v2
from service.http.body import is_empty
from service.http.known_paths import UNKNOWN

# Without a key: health, and the files of the page and of the description, which hold no secret.
OPEN = {"/", "/livez", "/readyz", "/healthz", "/docs", "/results", "/openapi.json", UNKNOWN, *v2.OPEN}
OPEN_FOLDER = "/page/"
WORK = "POST"  # the method of all routes that read images
RETRY = 1  # seconds that a refused client should wait
PATIENCE = 0.2  # seconds that a request takes before it is looked whether its client is still there
GONE = 499  # nobody reads it; the metrics count it
CROWD = 4  # requests at once from which on another worker may have less to do
RELIEF = 0.05  # seconds between two connections that a crowded worker gives up
LINGER = 2  # seconds for a client to notice that it was answered before it had sent everything


class Gate:
    """ASGI middleware."""

    def __init__(self, app, settings):
        self.app, self.settings = app, settings
        self.key = settings.api_key and settings.api_key.get_secret_value().encode()
        self.inside = 0
        self.relieved = 0.0  # when a connection was given up last, by time.monotonic

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
            exchange.last = self._is_crowded()
            try:
                await self._answer_in_time(exchange)
            finally:
                self.inside -= 1

    def _may_ask(self, scope):
        if self.key is None or scope["path"] in OPEN or scope["path"].startswith(OPEN_FOLDER):
            return True
        scheme, _, key = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key, self.key)  # in constant time

    def _is_crowded(self):
        """Whether this connection should end with its answer, so that its client comes back to a worker that is idle.

        Whoever is fastest takes a new connection, all of those that are opened together, and keeps it.
        """
        if self.settings.workers == 1 or self.inside < CROWD or time.monotonic() < self.relieved + RELIEF:
            return False
        self.relieved = time.monotonic()
        return True

    async def _answer_in_time(self, exchange):
        """Work that is running in a thread cannot be stopped: its client is told in time, its place is kept.

        Timers and no task of its own for each request, which would cost more than all else here.
        """
        loop, uploading, answering = asyncio.get_running_loop(), self.settings.upload_timeout, self.settings.timeout
        stop, timers, watchers, refusals = anyio.CancelScope(), [], [], []

        def give_up(status, sentence):
            stop.cancel()
            refusals.append(loop.create_task(exchange.refuse(status, sentence)))

        async def watch():
            while (await exchange.receive())["type"] != "http.disconnect":
                pass
            give_up(GONE, "The client went away before its answer.")

        def arrived():
            for timer in timers:
                timer.cancel()
            late = f"The answer took longer than {answering:g} s; try again."
            timers.append(loop.call_later(answering, give_up, 504, late))
            timers.append(loop.call_later(PATIENCE, lambda: watchers.append(loop.create_task(watch()))))

        timers.append(loop.call_later(uploading, give_up, 408, f"The body did not arrive within {uploading:g} s."))
        exchange.when_arrived(arrived)
        try:
            with stop:
                await self.app(exchange.scope, exchange.receive, exchange.send)
        finally:
            exchange.when_arrived(None)
            for pending in (*timers, *watchers):
                pending.cancel()
            for refusal in refusals:
                await refusal


class Exchange:
    """A request and its answer, and how far both have come.

    Who answers before the body is there stops it: the connection is closed, but not before the client had a moment to
    see the answer, for a closed connection takes with it what was not yet read.
    """

    def __init__(self, scope, receive, send):
        self.scope, self._receive, self._send = scope, receive, send
        self.arrived = is_empty(Headers(scope=scope))  # whether the whole body is there
        self.last = False  # whether the connection ends with the answer
        self._callback = None
        self._answered = self._refused = self._early = False

    def when_arrived(self, callback):
        """Call it as soon as the whole body is there; None: nobody."""
        self._callback = callback
        if self.arrived and callback is not None:
            callback()

    async def receive(self):
        message = await self._receive()
        if not self.arrived and not message.get("more_body", False):
            self.arrived = True
            if self._callback is not None:
                self._callback()
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
            self._early = not self.arrived
            if self._early or self.last:
                message = message | {"headers": [*message["headers"], (b"connection", b"close")]}
        elif self._early and not message.get("more_body", False):
            await self._send(message | {"more_body": True})
            with anyio.move_on_after(LINGER):
                while not self.arrived:
                    await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
