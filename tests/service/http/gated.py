"""The gate in front of applications that wait, fail to read or answer at once."""

import anyio
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from service.http.gate import Gate
from service.http.metrics import Metrics
from service.http.observability import Health, Observer
from service.settings import Settings


async def answer(scope, receive, send):
    """Reads the body, then answers."""
    await Request(scope, receive).body()
    await PlainTextResponse("fine")(scope, receive, send)


async def answer_early(scope, receive, send):
    await PlainTextResponse("no", 413)(scope, receive, send)


async def never_answer(scope, receive, send):
    await Request(scope, receive).body()
    await anyio.sleep_forever()


def behind(gate, app=answer):
    """An application behind the gate, as a route for POST."""
    return Observer(gate.working(app), Health(), Metrics({}, []))


def client(app=answer, **settings):
    return TestClient(behind(Gate(Settings(**settings)), app))


async def exchange(front, receive):
    """Post a body, `receive` after `receive`; the messages that are sent."""
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"transfer-encoding", b"chunked")]}
    sent = []

    async def send(message):
        sent.append(message)

    await front(scope, receive, send)
    return sent


async def endless():
    await anyio.lowlevel.checkpoint()
    return {"type": "http.request", "body": b"x", "more_body": True}


async def slow():
    await anyio.sleep(0.1)
    return {"type": "http.request", "body": b"x", "more_body": False}
