"""The web pages and their files. They load nothing from another host."""

from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from ..settings import PACKAGE, find

PAGE = PACKAGE / "page"
RESULTS = find("results")
EXAMPLES = find("examples")
HEADERS = {
    # No inline script or style, and no frame around a page. Images may be data: and blob: URLs, because they come from
    # the clipboard and from answers too.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # files are revalidated by ETag, because an old script fails with a new page
}


class Files(StaticFiles):
    """Static files with HEADERS, because some of them are pages."""

    def file_response(self, *arguments: Any, **keywords: Any) -> Response:
        response = super().file_response(*arguments, **keywords)
        response.headers.update(HEADERS)
        return response


async def page() -> FileResponse:
    return FileResponse(PAGE / "index.html", headers=HEADERS)


async def results() -> FileResponse:
    return FileResponse(PAGE / "results.html", headers=HEADERS)


async def docs() -> FileResponse:
    return FileResponse(PAGE / "docs.html", headers=HEADERS)


def add_pages(app: FastAPI) -> None:
    app.add_api_route("/", page, methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False)
    app.add_api_route("/results", results, methods=["GET"], include_in_schema=False)
    app.mount("/page/results", Files(directory=RESULTS, check_dir=False), name="results")  # some installations lack it
    app.mount("/page/examples", Files(directory=EXAMPLES), name="examples")
    app.mount("/page/swagger", Files(packages=[("fastapi_standalone_docs", "static/swagger")]), name="swagger")
    app.mount("/page", Files(directory=PAGE), name="page")
