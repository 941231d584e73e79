"""The HTTP application: routes, pages and error handlers around one recogniser."""

from collections.abc import Callable

from fastapi import FastAPI

from .. import __version__
from ..recogniser import Recogniser
from . import pages, routes, schema, v2
from .errors import add_error_handlers
from .serving import Observer, Serving


def create_app(
    recogniser: Recogniser,
    observe: Observer | None = None,
    on_lost_device: Callable[[], None] | None = None,
) -> FastAPI:
    """The application that answers with `recogniser`.

    observe: called with each answer, see `Metrics.answered`; on_lost_device: called when the models can no longer run.
    """
    app = FastAPI(
        title="Quintet",
        version=__version__,
        description=schema.DESCRIPTION,
        docs_url=None,  # FastAPI's own page loads Swagger UI from another host
        redoc_url=None,
    )
    app.state.serving = Serving(recogniser=recogniser, observe=observe)
    add_error_handlers(app, on_lost_device)
    # A router that is included is searched twice for each request, which costs a twentieth of all answers.
    app.router.routes += [*routes.router.routes, *v2.routes(recogniser.names, app.version)]
    pages.add_pages(app)
    return app
