"""What BentoML writes about a request into its metrics and its log, kept to what we know.

It labels both with the path as the client sent it: each path that is asked for is a time series of its own that is
never given up, and a line break in it is one in the log (read and measured in BentoML 1.4.39).
"""

from functools import partial
from pathlib import Path

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

UNKNOWN = "/unknown"  # what all paths are called that are not served
ADDRESS = 45  # characters of the longest IPv6 address; what a proxy's header says can be anything


class BoundedLabels:
    """ASGI middleware. BentoML's own stand before it, so when the application starts it goes in front of them."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            whole = scope["app"]
            whole.middleware_stack = partial(_bound, whole.middleware_stack, set(_paths(whole.routes)))
        await self.app(scope, receive, send)


async def _bound(app, paths, scope, receive, send):
    if scope["type"] in ("http", "websocket"):
        if scope["path"] not in paths:
            scope = scope | {"path": UNKNOWN, "raw_path": UNKNOWN.encode()}
        if scope["client"]:
            host, port = scope["client"]
            scope = scope | {"client": (ascii(host[:ADDRESS])[1:-1], port)}
    await app(scope, receive, send)


def _paths(routes, prefix=""):
    for route in routes:
        if not isinstance(route, Mount):
            yield prefix + route.path
        elif isinstance(route.app, StaticFiles):
            for folder in map(Path, route.app.all_directories):
                files = (path.relative_to(folder) for path in folder.rglob("*"))
                yield from (f"{prefix}{route.path}/{file.as_posix()}" for file in files)
        else:
            yield from _paths(route.app.routes, prefix + route.path)
