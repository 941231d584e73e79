"""The BentoML service: it owns workers, GPU, health and metrics, and mounts the HTTP application.

bentoml serve service.bento:Quintet
"""

import os
import signal
from typing import Annotated

import anyio.to_thread
import bentoml
import numpy as np
from bentoml.validators import DType, Shape
from pydantic import BeforeValidator, Field
from starlette.middleware.cors import CORSMiddleware

from service import app as application
from service import settings as environment
from service.artefact import choose_device
from service.consensus import load_consensus
from service.gate import LINGER, Gate
from service.labels import BoundedLabels
from service.native import NativeEndpoint, digit_images
from service.predictor import WARM_UP, Predictor

try:
    settings = environment.load()
    # Here too, where `bentoml serve` can still stop: a worker that fails would be started again without end.
    load_consensus(settings.models)
    choose_device(settings.device)
except (ValueError, RuntimeError) as error:
    raise SystemExit(f"Quintet does not start: {error}") from error


@bentoml.service(
    name="quintet",
    workers=settings.workers,
    traffic={"timeout": settings.upload_timeout + settings.timeout + 2 * LINGER},  # the gate's times end before
    logging={"access": {"request_content_type": False}},  # one that is no ASCII makes the log fail, and the answer
)
@bentoml.asgi_app(application.app, path="/")
class Quintet:
    def __init__(self):
        try:
            self.predictor = Predictor(settings.models, settings.device, settings.threads)
        except RuntimeError as error:
            _give_up()
            raise SystemExit(f"Quintet does not start: {error}") from error
        application.serve(self.predictor, settings)

    @bentoml.api(route="/classify")
    async def classify(
        self,
        images: Annotated[
            np.ndarray,
            DType("uint8"),
            Shape((-1, 28, 28)),
            BeforeValidator(digit_images),
            Field(description="28x28 images in MNIST's framing, 0 background to 255 ink"),
        ],
    ) -> dict[str, list[list[float]]]:
        """Each model's probabilities (N, 10) for images (N, 28, 28) uint8."""
        names = self.predictor.names
        found = {name: [] for name in names}
        for part in np.array_split(images[:, None], -(-len(images) // WARM_UP[0])):  # others have their turn between
            answers = await anyio.to_thread.run_sync(self.predictor.classify, part, names)
            for name, answer in answers.by_name.items():
                found[name] += answer.probabilities.tolist()
        return found


Quintet.add_asgi_middleware(BoundedLabels)
if settings.cors_origins:
    Quintet.add_asgi_middleware(
        CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["GET", "POST"], allow_headers=["*"]
    )
Quintet.add_asgi_middleware(Gate, settings=settings)
Quintet.add_asgi_middleware(
    NativeEndpoint, path="/classify", max_bytes=settings.max_bytes, max_images=settings.max_images
)


def _give_up():
    """In a worker of `bentoml serve`, stop its supervisor too."""
    if bentoml.server_context.worker_index is not None:
        os.kill(os.getppid(), signal.SIGTERM)
