"""Routes without FastAPI's handling of parameters answer as with it."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from service.http.errors import add_error_handlers
from service.http.lean import LeanRoute
from service.http.schema import PredictOptions


def client(kind):
    router = APIRouter(route_class=kind)

    @router.post("/predict")
    async def predict(request: Request, options: Annotated[PredictOptions, Query()]) -> JSONResponse:
        return JSONResponse(options.model_dump())

    app = FastAPI()
    add_error_handlers(app)
    app.include_router(router)
    return TestClient(app)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "models=cnn",
        "models=cnn,vit&explain=true",
        "explain=1",
        "explain=maybe",
        "explain=",
        "models=",
        "other=1",
        "models=cnn&models=vit",
        "explain=%ff",
        "models=%00",
    ],
)
def test_answers_are_those_of_an_ordinary_route(query):
    lean, ordinary = (client(kind).post(f"/predict?{query}") for kind in (LeanRoute, APIRoute))
    assert (lean.status_code, lean.json()) == (ordinary.status_code, ordinary.json())


def test_description_is_that_of_an_ordinary_route():
    assert client(LeanRoute).app.openapi() == client(APIRoute).app.openapi()
