"""Routes that FastAPI describes, but whose parameters it does not gather.

FastAPI's way from a request to the arguments of an endpoint took more of a request's time than BentoML's layers did.
https://fastapi.tiangolo.com/how-to/custom-request-and-route/ shows how a route class handles a request itself.
"""

from collections.abc import Callable, Coroutine
from typing import Any, get_type_hints

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

Answer = Coroutine[Any, Any, Response]


class LeanRoute(APIRoute):
    """A route whose endpoint takes the request, and perhaps `options`, the model of all its query parameters.

    The endpoint returns a response. Its dependencies only describe: they are not called.
    """

    def get_route_handler(self) -> Callable[[Request], Answer]:
        endpoint: Callable[..., Answer] = self.endpoint
        model: type[BaseModel] | None = get_type_hints(endpoint).get("options")
        if model is None:
            return endpoint

        async def handle(request: Request) -> Response:
            try:
                options = model.model_validate(dict(request.query_params))
            except ValidationError as error:
                raise RequestValidationError([_of_query(one) for one in error.errors()]) from error
            return await endpoint(request, options)

        return handle


def _of_query(error: Any) -> dict[str, Any]:
    """An error of pydantic's as FastAPI has those of query parameters."""
    return {**error, "loc": ("query", *error["loc"])}
