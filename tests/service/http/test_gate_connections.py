"""Which connections the gate closes, and which it keeps."""

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from service.http.gate import Gate
from service.http.known_paths import UNKNOWN
from service.settings import Settings
from tests.service.http.gated import answer_early, client, endless, exchange


def test_unknown_path_is_404_with_one_sentence():
    found = client().get(UNKNOWN)
    assert (found.status_code, found.json()) == (
        404,
        {"error": "No such route; see /docs."},
    )


def test_early_answer_closes_the_connection_after_a_moment(monkeypatch):
    """An endless body is stopped, but the client has time to read the reason."""
    monkeypatch.setattr("service.http.exchange.LINGER", 0.05)
    start, body, end = anyio.run(exchange, Gate(answer_early, Settings()), endless)
    assert (b"connection", b"close") in start["headers"]
    assert (body["body"], body["more_body"]) == (b"no", True)
    assert end == {"type": "http.response.body", "body": b""}


def test_answer_to_a_whole_body_keeps_the_connection():
    assert "connection" not in client().post("/predict", content=b"x").headers
    assert "connection" not in client(answer_early).post("/predict").headers
    assert "connection" not in client(answer_early).get("/models").headers


@pytest.mark.parametrize("workers, ended", [(1, 0), (2, 1)])
def test_busy_worker_closes_some_connections(workers, ended):
    async def together():
        opened = anyio.Event()

        async def wait(scope, receive, send):
            await Request(scope, receive).body()
            await opened.wait()
            await PlainTextResponse("fine")(scope, receive, send)

        gate, answers = Gate(wait, Settings(workers=workers)), []
        transport = httpx2.ASGITransport(gate)

        async def ask(client):
            answers.append(await client.post("http://gate/predict", content=b"x"))

        async with httpx2.AsyncClient(transport=transport) as client, anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask, client)
            while gate.inside < 8:
                await anyio.sleep(0)
            opened.set()
        return answers

    answers = anyio.run(together)
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum(answer.headers.get("connection") == "close" for answer in answers) == ended
