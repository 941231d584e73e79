"""Give all unknown paths one path, so that clients cannot fill the metrics or forge lines of the log.

BentoML 1.4.39 keeps a time series for each path that was ever requested, and its access log prints paths and client
addresses unchanged, line breaks included. Both see a request before any middleware that a service adds, so this
middleware moves in front of them once the application has started.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from string import Formatter

from fastapi import FastAPI
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import v2
from .serving import Serving

UNKNOWN = "/unknown"  # the path of all requests whose path is not served
ADDRESS = 45  # characters of the longest IPv6 address; a forged header of a proxy may be longer


class KnownPaths:
    """ASGI middleware. `mounted` returns the application at "/"; it is called when the service has started."""

    def __init__(self, app: ASGIApp, mounted: Callable[[], FastAPI]) -> None:
        self.app, self.mounted = app, mounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            whole = scope["app"]

            async def started(message: Message) -> None:
                if message["type"] == "lifespan.startup.complete":
                    own = {route.path for route in whole.routes if isinstance(route, Route)}
                    paths = frozenset(own | set(paths_of(self.mounted())))
                    whole.middleware_stack = partial(_bounded, whole.middleware_stack, paths)
                await send(message)

            await self.app(scope, receive, started)
        else:
            await self.app(scope, receive, send)


async def _bounded(app: ASGIApp, paths: frozenset[str], scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] in ("http", "websocket"):
        if scope["path"] not in paths:
            path = _shared(scope["path"], paths)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["client"]:
            host, port = scope["client"]
            scope = {**scope, "client": (ascii(host[:ADDRESS])[1:-1], port)}
    await app(scope, receive, send)


def _shared(path: str, paths: frozenset[str]) -> str:
    """The path that stands for a path that is not served."""
    model, unknown = "/".join(path.split("/")[:4]), v2.UNKNOWN_MODEL.rpartition("/")[0] + "/"
    return v2.UNKNOWN_MODEL if path.startswith(unknown) and model not in paths else UNKNOWN


def paths_of(app: FastAPI) -> Iterator[str]:
    """All paths that the application serves, with each static file, and each model where a path names a model."""
    serving: Serving = app.state.serving
    for path in app.openapi()["paths"]:
        parameters = [name for _, name, _, _ in Formatter().parse(path) if name]
        for names in product(serving.recogniser.names, repeat=len(parameters)):
            yield path.format(**dict(zip(parameters, names, strict=True)))
    for route in app.routes:
        if isinstance(route, Route):
            yield route.path
        elif isinstance(route, Mount) and isinstance(route.app, StaticFiles):
            for folder in map(Path, route.app.all_directories):
                files = (path.relative_to(folder) for path in folder.rglob("*"))
                yield from (f"{route.path}/{file.as_posix()}" for file in files)
