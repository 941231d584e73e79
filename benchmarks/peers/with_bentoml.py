"""BentoML's own endpoints: each takes a picture, which BentoML has decoded.

bentoml serve benchmarks.peers.with_bentoml:Native
"""

from typing import Any

import bentoml
from PIL import Image

from benchmarks.peers.naive import CHOICES, Networks, prepare


@bentoml.service(logging={"access": {"enabled": False}})
class Native:
    def __init__(self) -> None:
        self.networks = {choice: Networks(names) for choice, names in CHOICES.items()}

    @bentoml.api(route="/cnn")
    def cnn(self, image: Image.Image, /) -> dict[str, Any]:
        return self.networks["cnn"].answers(prepare(image)[None])[0]

    @bentoml.api(route="/all")
    def all_five(self, image: Image.Image, /) -> dict[str, Any]:
        return self.networks["all"].answers(prepare(image)[None])[0]
