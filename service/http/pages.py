"""The web pages and their files. They load nothing from another host."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import segno
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path

from ..settings import PACKAGE, find

PAGE = PACKAGE / "page"
RESULTS = find("results")
EXAMPLES = find("examples")
LONGEST = 300  # characters of an address in a QR code that a phone reads from a wall
SWAGGER = "swagger-ui.css", "swagger-ui-bundle.js"  # of its folder, which has pages of its own too


def headers_for(frame_ancestors: Sequence[str]) -> dict[str, str]:
    """The headers of every page and file. frame_ancestors: origins whose pages may show ours in a frame."""
    ancestors = " ".join(frame_ancestors) or "'none'"
    return {
        # No inline script or style. Images may be data: and blob: URLs, because they come from the clipboard and from
        # answers too.
        "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
        f"form-action 'none'; frame-ancestors {ancestors}",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # files are revalidated by ETag, because an old script fails with a new page
    }


class Files(StaticFiles):
    """Static files with `headers`, because some of them are pages; `only` these names, if it is given."""

    def __init__(self, directory: Path, headers: dict[str, str], only: Sequence[str] = (), **options: Any) -> None:
        super().__init__(directory=directory, **options)
        self.headers, self.only = headers, only

    def lookup_path(self, path: str) -> Any:
        return super().lookup_path(path) if not self.only or path in self.only else ("", None)

    def file_response(self, *arguments: Any, **keywords: Any) -> Response:
        response = super().file_response(*arguments, **keywords)
        response.headers.update(self.headers)
        return response


def routes(frame_ancestors: Sequence[str]) -> list[BaseRoute]:
    headers, compressed = headers_for(frame_ancestors), [Middleware(GZipMiddleware)]

    def page(path: str, file: str) -> Route:
        async def show(_request: Request) -> Response:
            return FileResponse(PAGE / file, headers=headers)

        return Route(path, show, name=file, middleware=compressed)

    async def code(request: Request) -> Response:
        """The QR code of an address, which only the browser knows where a proxy is in between."""
        address = request.query_params.get("address", "")
        if not address.startswith(("http://", "https://")) or len(address) > LONGEST:
            raise HTTPException(422, f"Parameter 'address' is not an http address of at most {LONGEST} characters.")
        file = BytesIO()
        segno.make(address, error="m", micro=False).save(file, "svg", border=4, light="#fff", omitsize=True)
        return Response(file.getvalue(), headers=headers, media_type="image/svg+xml")

    return [
        page("/", "index.html"),
        Route("/qr.svg", code),
        page("/docs", "docs.html"),
        page("/results", "results.html"),
        # Some installations have no results.
        Mount("/page/results", Files(RESULTS, headers, check_dir=False), middleware=compressed),
        Mount("/page/examples", Files(EXAMPLES, headers)),
        Mount("/page/swagger", Files(Path(str(swagger_ui_path)), headers, SWAGGER)),
        Mount("/page", Files(PAGE, headers), middleware=compressed),
    ]
