"""What BentoML's own middleware does to a request before ours has it, kept to what we need.

It labels its metrics and its log with the path as the client sent it: each path that is asked for is a time series of
its own that is never given up, and a line break in it is one in the log. And two parts of it stand there whatever the
configuration says: tracing, also where nothing is exported, and a time limit, whose timer lives on after the answer
(the gate has limits of its own). Read and measured in BentoML 1.4.39.
"""

from functools import partial
from pathlib import Path

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

UNKNOWN = "/unknown"  # what all paths are called that are not served
ADDRESS = 45  # characters of the longest IPv6 address; what a proxy's header says can be anything


class Front:
    """ASGI middleware. BentoML's own stands before it, so when the application starts it goes in front of that."""

    def __init__(self, app, without=()):
        """`without`: names of the classes before it that are to be left out."""
        self.app, self.without = app, without

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            whole = scope["app"]
            _leave_out(whole.middleware_stack, self.without)
            whole.middleware_stack = partial(_bound, whole.middleware_stack, set(_paths(whole.routes)))
        await self.app(scope, receive, send)


class Straight:
    """ASGI middleware: what an application serves goes to it from here, not on through BentoML's context and routers.

    Where it is mounted it would arrive too, after a tenth of the time that a small image takes. What else BentoML is
    configured to do behind its services' middleware (its own CORS) is skipped with that.
    """

    def __init__(self, app, target):
        self.app, self.target, self.paths = app, target, set(_paths(target.routes))

    async def __call__(self, scope, receive, send):
        chosen = self.target if scope["type"] == "http" and scope["path"] in self.paths else self.app
        await chosen(scope, receive, send)


def _leave_out(app, names):
    while hasattr(app, "app"):
        while type(app.app).__name__ in names:
            app.app = app.app.app
        app = app.app


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
