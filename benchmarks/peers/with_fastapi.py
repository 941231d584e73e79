"""FastAPI and onnxruntime: one process, each request in a thread.

uvicorn benchmarks.peers.with_fastapi:app
"""

from typing import Annotated

from fastapi import Body, FastAPI

from benchmarks.peers.naive import CHOICES, Answer, Networks, decode

app = FastAPI()
networks = {choice: Networks(names) for choice, names in CHOICES.items()}


@app.post("/cnn")
def cnn(image: Annotated[bytes, Body()]) -> Answer:
    return networks["cnn"].answers(decode(image)[None])[0]


@app.post("/all")
def all_five(image: Annotated[bytes, Body()]) -> Answer:
    return networks["all"].answers(decode(image)[None])[0]


@app.get("/readyz")
def ready() -> Answer:
    return {}
