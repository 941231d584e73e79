"""What people could serve the same ONNX files with instead, and the service's own floor.

The floor is the service's `Recogniser` in bare Starlette and uvicorn, without BentoML, limits and metrics. It is the
fastest that this recogniser can be behind HTTP in Python. The peers are LitServe, FastAPI and BentoML's own endpoint,
each as its documentation shows it for a model and an image, with the plainest preparation of a picture. They have no
limits, no refusals and no framing like MNIST's. Each takes the bytes of an image at POST /cnn, which one network
answers, and at POST /all, which all answer.
"""

import importlib.util
from io import BytesIO
from typing import Annotated, Any

import bentoml
import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.servers import HOST, SERVICE
from service import settings as environment
from service.inference.consensus import load_consensus

Answer = dict[str, Any]

UVICORN = ["-m", "uvicorn", "--factory", "benchmarks.peers:{app}", "--host", HOST, "--port", "{port}"]
UVICORN += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
PEERS = "litserve", "fastapi", "bentoml"
COMMANDS = {  # of Python, see `benchmarks.servers.serving`
    "floor": [word.replace("{app}", "floor") for word in UVICORN],
    "service": SERVICE,
    "litserve": ["-m", "benchmarks.peer_litserve", "--port", "{port}"],
    "fastapi": [word.replace("{app}", "fastapi") for word in UVICORN],
    "bentoml": [word.replace("service.bento:Quintet", "benchmarks.peers:Native") for word in SERVICE],
}


def missing() -> list[str]:
    """The peers that are not installed."""
    return [name for name in PEERS if importlib.util.find_spec(name) is None]


def path_of(kind: str, models: str) -> str:
    """Where a server of this kind takes an image for `models`, "cnn" or "all"."""
    if kind in PEERS:
        return f"/{models}"
    return "/predict" if models == "all" else f"/predict?models={models}"


def floor() -> Any:
    """The service's own recogniser in bare Starlette, an ASGI application."""
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

    return Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/readyz", ready)])


def prepare(image: Image.Image) -> np.ndarray:
    """(1, 28, 28) uint8, 0 background to 255 ink."""
    pixels = np.asarray(image.convert("L").resize((28, 28)))
    return (255 - pixels if pixels.mean() > 127 else pixels)[None]


def decode(data: bytes) -> np.ndarray:
    """The bytes of an image to (1, 28, 28) uint8."""
    return prepare(Image.open(BytesIO(data)))


class Networks:
    """Networks, run one after another, and the mean of what they say."""

    def __init__(self, choice: str) -> None:
        """choice: "all" or a network's name."""
        settings, options = environment.load(), onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        names = load_consensus(settings.models).names if choice == "all" else [choice]
        self.sessions = {
            name: onnxruntime.InferenceSession(
                settings.models / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
            )
            for name in names
        }

    def answers(self, images: np.ndarray) -> list[Answer]:
        """One answer for each of images (N, 1, 28, 28) uint8."""
        feed = {"images": images}
        found = {name: np.asarray(session.run(["probabilities"], feed)[0]) for name, session in self.sessions.items()}
        return [
            {
                "digit": int(mean.argmax()),
                "confidence": float(mean.max()),
                "models": {name: probabilities[index].tolist() for name, probabilities in found.items()},
            }
            for index, mean in enumerate(np.mean(list(found.values()), axis=0))
        ]


def fastapi() -> Any:
    """FastAPI: one process, each request in a thread."""
    from fastapi import Body, FastAPI

    app = FastAPI()

    def serve(choice: str) -> None:
        networks = Networks(choice)

        @app.post(f"/{choice}")
        def answer(image: Annotated[bytes, Body()]) -> Answer:
            return networks.answers(decode(image)[None])[0]

    serve("cnn")
    serve("all")
    app.get("/readyz")(dict)
    return app


@bentoml.service(logging={"access": {"enabled": False}})
class Native:
    """BentoML's own endpoints, which take a picture that BentoML has decoded."""

    def __init__(self) -> None:
        self.one, self.five = Networks("cnn"), Networks("all")

    @bentoml.api(route="/cnn")
    def cnn(self, image: Image.Image, /) -> Answer:
        return self.one.answers(prepare(image)[None])[0]

    @bentoml.api(route="/all")
    def all_five(self, image: Image.Image, /) -> Answer:
        return self.five.answers(prepare(image)[None])[0]
