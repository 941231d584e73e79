"""What the peers share: a picture made 28x28 in the plainest way, and the networks one after another."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from service import settings as environment

MODELS = Path(__file__).parent.parent.parent / "models"
CHOICES = {"cnn": ["cnn"], "all": ["alexnet", "cnn", "faster_rcnn", "vgg16", "vit"]}

Answer = dict[str, Any]


def prepare(image: Image.Image) -> np.ndarray:
    """(1, 28, 28) uint8, 0 background to 255 ink."""
    pixels = np.asarray(image.convert("L").resize((28, 28)))
    return (255 - pixels if pixels.mean() > 127 else pixels)[None]


def decode(data: bytes) -> np.ndarray:
    """The bytes of an image to (1, 28, 28) uint8."""
    return prepare(Image.open(BytesIO(data)))


class Networks:
    """Several networks, and the mean of what they say."""

    def __init__(self, names: Sequence[str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = environment.load().threads  # as many as the service has
        self.sessions = {
            name: onnxruntime.InferenceSession(MODELS / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
            for name in names
        }

    def answers(self, images: np.ndarray) -> list[Answer]:
        """One answer for each of images (N, 1, 28, 28) uint8."""
        feed = {"images": images}
        found = {name: np.asarray(session.run(["probabilities"], feed)[0]) for name, session in self.sessions.items()}
        means = np.mean(list(found.values()), axis=0)
        return [
            {
                "digit": int(mean.argmax()),
                "confidence": float(mean.max()),
                "models": {name: probabilities[index].tolist() for name, probabilities in found.items()},
            }
            for index, mean in enumerate(means)
        ]
