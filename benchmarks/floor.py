"""What the service is held against: its own `Recogniser` in bare Starlette and uvicorn, and nothing else.

No BentoML, no limits, no metrics. The fastest that this recogniser can be behind HTTP in Python.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from service.recogniser import Recogniser

recogniser = Recogniser()


async def predict(request: Request) -> Response:
    names = recogniser.predictor.choose(request.query_params.get("models"))
    prediction = await recogniser.predict_async(await request.body(), names)
    return Response(prediction.model_dump_json(exclude_unset=True), media_type="application/json")


async def ready(_request: Request) -> JSONResponse:
    return JSONResponse({})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])
