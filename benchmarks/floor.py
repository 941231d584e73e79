"""What the service is held against: its own code for one image in bare Starlette and uvicorn, and nothing else.

No BentoML, no FastAPI, no limits, no metrics. The fastest this predictor can be behind HTTP in Python.
"""

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from service import settings as environment
from service.answer import answer
from service.inference.batcher import Batcher
from service.inference.predictor import Predictor

settings = environment.load()
predictor = Predictor(settings.models, settings.device, settings.threads)
batcher = Batcher(predictor)
readers = CapacityLimiter(settings.threads + 1)


async def predict(request: Request) -> JSONResponse:
    names = predictor.choose(request.query_params.get("models"))
    data = await request.body()
    return JSONResponse(await answer(data, batcher, names, settings, readers))


async def ready(_request: Request) -> JSONResponse:
    return JSONResponse({})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])
