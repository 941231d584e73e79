"""The gate in front of every route, BentoML's own included: the API key, the number of requests, and time limits."""

import asyncio
import hmac
import time
from collections.abc import Iterable

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from ..settings import Settings
from . import v2
from .errors import NO_ROUTE
from .exchange import Exchange
from .known_paths import UNKNOWN

# Paths that need no key: health, and the files of the page and of the API description, which hold no secret.
OPEN = {"/", "/livez", "/readyz", "/healthz", "/docs", "/results", "/openapi.json", UNKNOWN, *v2.OPEN}
OPEN_FOLDER = "/page/"
WORK = "POST"  # the method of all routes that read images
RETRY = 1  # seconds that a refused client should wait
PATIENCE = 0.2  # seconds that a request takes before the gate watches whether its client disconnects
GONE = 499  # status for a disconnected client; only the metrics see it
CROWD = 4  # requests in a worker; from this number on, another worker may be less busy
RELIEF = 0.05  # least seconds between two connections that a busy worker closes
ARRIVING = 8  # incomplete bodies for each request that may be answered at once; slow clients need many
BODIES = 256_000_000  # maximum number of bytes of all bodies together
PERIOD = 5.0  # seconds over which RATE is measured
RATE = 1_000  # least bytes a second of an arriving body


class Gate:
    """ASGI middleware. Requests whose body is incomplete do not take the places of complete ones."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.key = settings.api_key.get_secret_value().encode() if settings.api_key else None
        self.arriving = 0  # requests whose body is incomplete
        self.inside = 0  # requests whose body is complete, but whose answer is not
        self.held = 0  # bytes of the bodies of both
        self.relieved = 0.0  # time of the last closed connection, by time.monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        if not self._may_ask(scope["path"], scope["headers"]):
            message = "The API key is missing or wrong; send it as a header: 'Authorization: Bearer KEY'."
            await exchange.refuse(401, message, {"WWW-Authenticate": "Bearer"})
        elif scope["path"] == UNKNOWN:
            await exchange.refuse(404, NO_ROUTE)
        elif scope["method"] != WORK:
            await self.app(scope, exchange.receive, exchange.send)
        elif self.is_full() or self.arriving >= ARRIVING * self.settings.concurrency:
            await exchange.refuse(429, self.busy(), {"Retry-After": str(RETRY)})
        else:
            await Visit(self, exchange).run()

    def is_full(self) -> bool:
        return self.inside >= self.settings.concurrency

    def busy(self) -> str:
        count = self.inside + self.arriving
        return f"The service is busy with {count} request{'s' * (count != 1)}; try again in {RETRY} s."

    def is_crowded(self) -> bool:
        """Whether a connection should close after its answer, so that its client reconnects to an idle worker.

        Without this, the worker that accepts connections fastest gets all that are opened together, and keeps them.
        """
        if self.settings.workers == 1 or self.inside < CROWD or time.monotonic() < self.relieved + RELIEF:
            return False
        self.relieved = time.monotonic()
        return True

    def _may_ask(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        if self.key is None or path in OPEN or path.startswith(OPEN_FOLDER):
            return True
        scheme, _, key = dict(headers).get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(key, self.key)  # in constant time


class Visit:
    """A request on its way through the gate: its place, its bytes and its time limits.

    It uses timers, because a task for each request would cost more than everything else here. It cannot stop a thread
    that works for the request: the client is answered in time, and the request keeps its place until the thread ends.
    """

    def __init__(self, gate: Gate, exchange: Exchange) -> None:
        self.gate, self.exchange, self.settings = gate, exchange, gate.settings
        self.loop = asyncio.get_running_loop()
        self.stop = anyio.CancelScope()
        self.is_inside = False
        self.refusal: asyncio.Task[None] | None = None
        self.watcher: asyncio.Task[None] | None = None
        self.timers: list[asyncio.TimerHandle] = []
        self.began = self.loop.time()
        self.received = 0  # bytes that had arrived when the rate was last checked

    async def run(self) -> None:
        gate, exchange = self.gate, self.exchange
        gate.arriving += 1
        exchange.on_progress, exchange.on_arrival = self._progress, self._arrive
        try:
            if exchange.arrived:
                self._arrive()
            else:
                self._check_later()
            with self.stop:
                await gate.app(exchange.scope, exchange.receive, exchange.send)
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

    def _progress(self, size: int) -> None:
        self.gate.held += size
        if self.gate.held > BODIES:
            self._give_up(429, self.gate.busy(), {"Retry-After": str(RETRY)})

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
            self._give_up(429, self.gate.busy(), {"Retry-After": str(RETRY)})
            return
        self.gate.arriving -= 1
        self.gate.inside += 1
        self.is_inside = True
        self.exchange.closes = self.gate.is_crowded()
        limit = self.settings.timeout
        late = f"The answer took longer than {limit:g} s; try again."
        self.timers = [
            self.loop.call_later(limit, self._give_up, 504, late),
            self.loop.call_later(PATIENCE, self._watch),
        ]

    def _watch(self) -> None:
        self.watcher = self.loop.create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self.exchange.receive())["type"] != "http.disconnect":
            pass
        self._give_up(GONE, "The client disconnected before it was answered.")

    def _give_up(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        if self.refusal is None:
            self.stop.cancel()
            self.exchange.mute()
            self.refusal = self.loop.create_task(self.exchange.refuse(status, sentence, headers))
