"""The gate around an application that waits, fails to read or answers at once."""

import threading

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from service.http.gate import Gate
from service.http.known_paths import UNKNOWN
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


def client(app=answer, **settings):
    return TestClient(Gate(app, Settings(**settings)))


def test_unknown_path_is_404_with_one_sentence():
    found = client().get(UNKNOWN)
    assert (found.status_code, found.json()) == (
        404,
        {"error": "No such route; see /docs."},
    )


async def exchange(gate, receive):
    """Post a body, `receive` after `receive`; the messages that the gate sends."""
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"transfer-encoding", b"chunked")]}
    sent = []

    async def send(message):
        sent.append(message)

    await gate(scope, receive, send)
    return sent


async def endless():
    await anyio.lowlevel.checkpoint()
    return {"type": "http.request", "body": b"x", "more_body": True}


async def slow():
    await anyio.sleep(0.1)
    return {"type": "http.request", "body": b"x", "more_body": False}


def test_body_that_does_not_arrive_is_408(monkeypatch):
    monkeypatch.setattr("service.http.exchange.LINGER", 0.01)
    gate = Gate(answer, Settings(upload_timeout=0.05))
    start, body, end = anyio.run(exchange, gate, anyio.sleep_forever)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert body["body"] == b'{"error":"The body did not arrive within 0.05 s."}'
    assert (end["body"], gate.inside) == (b"", 0)


def test_body_that_arrives_too_slowly_is_408(monkeypatch):
    """Bug: 128 clients that sent one byte per second held all places without end."""
    monkeypatch.setattr("service.http.exchange.LINGER", 0.01)
    monkeypatch.setattr("service.http.gate.PERIOD", 0.05)

    async def drip():
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    gate = Gate(answer, Settings())
    start, body, _ = anyio.run(exchange, gate, drip)
    assert (start["status"], body["body"]) == (408, b'{"error":"The body arrives at less than 1000 bytes a second."}')
    assert (gate.arriving, gate.inside, gate.held) == (0, 0, 0)


def test_incomplete_bodies_take_no_place_of_complete_ones():
    async def crowd():
        gate = Gate(answer, Settings(concurrency=2))
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(exchange, gate, anyio.sleep_forever)
            while gate.arriving < 10:
                await anyio.sleep(0)
            transport = httpx2.ASGITransport(gate)
            async with httpx2.AsyncClient(transport=transport, base_url="http://gate") as client:
                found = await client.post("/predict", content=b"x")
                for _ in range(6):
                    group.start_soon(exchange, gate, anyio.sleep_forever)
                while gate.arriving < 16:
                    await anyio.sleep(0)
                refused = await client.post("/predict", content=b"x")
            group.cancel_scope.cancel()
        return found.status_code, refused.status_code

    assert anyio.run(crowd) == (200, 429)


def test_bodies_together_hold_at_most_their_limit(monkeypatch):
    monkeypatch.setattr("service.http.exchange.LINGER", 0.01)
    monkeypatch.setattr("service.http.gate.BODIES", 1_000)
    gate = Gate(answer, Settings())
    start, _, _ = anyio.run(exchange, gate, endless)
    assert (start["status"], gate.held) == (429, 0)


def test_body_that_is_complete_while_all_places_are_taken_is_429():
    async def crowd():
        gate = Gate(answer, Settings(concurrency=1))

        async def last_part():
            gate.inside += 1  # somebody else was faster
            return {"type": "http.request", "body": b"x", "more_body": False}

        sent = await exchange(gate, last_part)
        return sent[0]["status"], gate.arriving, gate.inside, gate.held

    assert anyio.run(crowd) == (429, 0, 1, 0)


def test_late_answer_is_504():
    found = client(never_answer, timeout=0.05).post("/predict", content=b"x")
    assert found.status_code == 504
    assert found.json() == {"error": "The answer took longer than 0.05 s; try again."}


def test_504_comes_in_time_and_the_place_is_kept_while_the_thread_works():
    async def scenario():
        told, finish = anyio.Event(), threading.Event()
        sent = []

        async def work(scope, receive, send):
            await anyio.to_thread.run_sync(finish.wait, 10)
            await answer(scope, receive, send)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)
            if message["type"] == "http.response.body":
                told.set()

        gate = Gate(work, Settings(timeout=0.05))
        async with anyio.create_task_group() as group:
            group.start_soon(gate, {"type": "http", "method": "POST", "path": "/predict", "headers": []}, receive, send)
            await told.wait()
            places = gate.inside
            finish.set()
        return sent, places, gate.inside

    sent, during, after = anyio.run(scenario)
    assert [message.get("status") for message in sent] == [504, None]
    assert (during, after) == (1, 0)


def test_failure_of_the_application_is_passed_on():
    async def fail(scope, receive, send):
        raise ZeroDivisionError("a fault of ours")

    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        client(fail).post("/predict")


def test_slow_upload_is_not_counted_as_slow_answer():
    start, *_ = anyio.run(exchange, Gate(answer, Settings(timeout=0.05)), slow)
    assert start["status"] == 200


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


def test_one_request_too_many_is_429_at_once():
    async def crowd():
        entered, leave, found = anyio.Event(), anyio.Event(), {}

        async def wait(scope, receive, send):
            entered.set()
            await leave.wait()
            await answer(scope, receive, send)

        gate = Gate(wait, Settings(concurrency=1))
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(gate), base_url="http://gate")
        async with client, anyio.create_task_group() as group:

            async def first():
                found["first"] = await client.post("/predict")

            group.start_soon(first)
            await entered.wait()
            found["second"] = await client.post("/predict")
            leave.set()
        return gate, found

    gate, found = anyio.run(crowd)
    assert found["second"].status_code == 429
    assert found["second"].json() == {"error": "The service is busy with 1 request; try again in 1 s."}
    assert found["second"].headers["retry-after"] == "1"
    assert (found["first"].status_code, gate.inside) == (200, 0)


def test_request_of_a_disconnected_client_is_cancelled(monkeypatch):
    monkeypatch.setattr("service.http.gate.PATIENCE", 0.02)
    messages = [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0) if messages else await anyio.sleep_forever()

    gate = Gate(never_answer, Settings())
    start, _ = anyio.run(exchange, gate, receive)
    assert (start["status"], gate.inside) == (499, 0)


def test_no_timer_starts_after_an_upload_that_took_too_long(monkeypatch):
    """The rest of the body arrives while the answer is being sent; no timer may start then."""
    monkeypatch.setattr("service.http.gate.PATIENCE", 0.01)
    asked = []

    async def receive():
        asked.append(1)
        if len(asked) == 1:
            return await anyio.sleep_forever()
        if len(asked) == 2:
            return {"type": "http.request", "body": b"x", "more_body": False}
        return await anyio.sleep_forever()

    async def story():
        sent = await exchange(Gate(answer, Settings(upload_timeout=0.02)), receive)
        await anyio.sleep(0.1)
        return sent

    assert anyio.run(story)[0]["status"] == 408
    assert len(asked) == 2


def test_client_that_waits_is_answered(monkeypatch):
    monkeypatch.setattr("service.http.gate.PATIENCE", 0.01)

    async def slowly(scope, receive, send):
        await Request(scope, receive).body()
        await anyio.sleep(0.1)
        await PlainTextResponse("fine")(scope, receive, send)

    async def receive():
        if not asked:
            asked.append(1)
            return {"type": "http.request", "body": b"x", "more_body": False}
        return await anyio.sleep_forever()

    asked = []
    start, body = anyio.run(exchange, Gate(slowly, Settings()), receive)
    assert (start["status"], body["body"]) == (200, b"fine")


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
