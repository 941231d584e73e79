"""The gate in front of a route: the API key, the number of requests, and time limits."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import Settings
from .errors import error
from .observability import Exchange

Endpoint = Callable[[Request], Awaitable[Response]]

RETRY = 1  # seconds that a refused client should wait
LATER = {"Retry-After": str(RETRY)}
PATIENCE = 0.2  # seconds that a request takes before the gate watches whether its client disconnects
GONE = 499  # status for a disconnected client; only the metrics see it
ARRIVING = 8  # incomplete bodies for each request that may be answered at once; slow clients need many
BODIES = 256_000_000  # maximum number of bytes of all bodies together
PERIOD = 5.0  # seconds over which RATE is measured
RATE = 1_000  # least bytes a second of an arriving body
MISSING = "The API key is missing; send it as a header: 'Authorization: Bearer KEY'."
WRONG = "The API key is wrong; send the right one as a header: 'Authorization: Bearer KEY'."


class Gate:
    """What the gates of all routes share. Requests whose body is incomplete do not take the places of complete ones."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self.arriving = 0  # requests whose body is incomplete
        self.inside = 0  # requests whose body is complete, but whose answer is not
        self.held = 0  # bytes of the bodies of both

    def keyed(self, app: ASGIApp) -> ASGIApp:
        """An application behind the API key."""

        async def check(scope: Scope, receive: Receive, send: Send) -> None:
            sentence = self._refusal(scope["exchange"].headers)
            if sentence is None:
                await app(scope, receive, send)
            else:
                await error(401, sentence, {"WWW-Authenticate": "Bearer"})(scope, receive, send)

        return app if self.key is None else check

    def working(self, app: ASGIApp) -> ASGIApp:
        """An application behind the API key and the limits for requests with a body."""

        async def limit(scope: Scope, receive: Receive, send: Send) -> None:
            if self.is_full() or self.arriving >= ARRIVING * self.settings.concurrency:
                await error(429, self.busy(), LATER)(scope, receive, send)
            else:
                await Visit(self, scope, receive, send).run(app)

        return self.keyed(limit)

    def route(self, path: str, endpoint: Endpoint, methods: Sequence[str] = ("GET",)) -> Route:
        """A route behind the API key."""
        return Route(path, endpoint, methods=methods, middleware=[Middleware(self.keyed)])

    def work(self, path: str, endpoint: Endpoint) -> Route:
        """A route for POST behind the API key and all limits."""
        return Route(path, endpoint, methods=["POST"], middleware=[Middleware(self.working)])

    def is_full(self) -> bool:
        return self.inside >= self.settings.concurrency

    def busy(self) -> str:
        count = self.inside + self.arriving
        return f"The service is busy with {count} request{'s' * (count != 1)}; try again in {RETRY} s."

    def _refusal(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Why a request with these headers may not pass; None if it may."""
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not key:
            return MISSING
        return None if self.key is not None and hmac.compare_digest(key, self.key) else WRONG  # in constant time


class Visit:
    """A request on its way through the gate: its place, its bytes and its time limits.

    It uses timers, because a task for each request would cost more than everything else here. It cannot stop a thread
    that works for the request: the client is answered in time, and the request keeps its place until the thread ends.
    """

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate, self.settings = gate, gate.settings
        self.scope, self.receive, self.send = scope, receive, send
        self.exchange: Exchange = scope["exchange"]
        self.loop = asyncio.get_running_loop()
        self.stop = anyio.CancelScope()
        self.is_inside = self.is_refused = False
        self.refusal: asyncio.Task[None] | None = None
        self.watcher: asyncio.Task[None] | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self.began = self.loop.time()
        self.received = 0  # bytes that had arrived when the rate was last checked

    async def run(self, app: ASGIApp) -> None:
        gate, exchange = self.gate, self.exchange
        gate.arriving += 1
        exchange.on_progress, exchange.on_arrival = self._progress, self._arrive
        try:
            if exchange.arrived:
                self._arrive()
            else:
                self._check_later()
            with self.stop:
                await app(self.scope, self.receive, self._pass_on)
        finally:
            exchange.on_progress = exchange.on_arrival = None
            for timer in self.timers:
                timer.cancel()
            if self.is_inside:
                gate.inside -= 1
            else:
                gate.arriving -= 1
            gate.held -= exchange.received
            if self.watcher is not None:
                self.watcher.cancel()
            if self.refusal is not None:
                await self.refusal

    async def _pass_on(self, message: Message) -> None:
        """Send what the application answers, unless the gate has answered instead."""
        if not self.is_refused:
            await self.send(message)

    def _progress(self, size: int) -> None:
        self.gate.held += size
        if self.gate.held > BODIES:
            self._give_up(429, self.gate.busy())

    def _check_later(self) -> None:
        """Check the progress of the body after PERIOD, or at the end of the upload's time if that is earlier."""
        left = self.began + self.settings.upload_timeout - self.loop.time()
        self.timers = [self.loop.call_later(min(PERIOD, left), self._check)]

    def _check(self) -> None:
        if self.loop.time() - self.began >= self.settings.upload_timeout - 1e-3:
            self._give_up(408, f"The body did not arrive within {self.settings.upload_timeout:g} s.")
        elif self.exchange.received - self.received < RATE * PERIOD:
            self._give_up(408, f"The body arrives at less than {RATE} bytes a second.")
        else:
            self.received = self.exchange.received
            self._check_later()

    def _arrive(self) -> None:
        for timer in self.timers:
            timer.cancel()
        if self.gate.is_full():
            self._give_up(429, self.gate.busy())
            return
        self.gate.arriving -= 1
        self.gate.inside += 1
        self.is_inside = True
        limit = self.settings.timeout
        late = f"The answer took longer than {limit:g} s; try again."
        self.timers = [
            self.loop.call_later(limit, self._give_up, 504, late),
            self.loop.call_later(PATIENCE, self._watch),
        ]

    def _watch(self) -> None:
        self.watcher = self.loop.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self._give_up(GONE, "The client disconnected before it was answered.")

    def _give_up(self, status: int, sentence: str) -> None:
        """Answer instead of the application, unless its answer has begun."""
        if self.refusal is None:
            self.stop.cancel()
            self.is_refused = not self.exchange.is_answered
            if self.is_refused:
                answer = error(status, sentence, LATER if status == 429 else None)
                self.refusal = self.loop.create_task(answer(self.scope, self.receive, self.send))
