"""How long an answer may take, and how many requests may wait for one."""

import threading

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from service.http.gate import Gate
from service.settings import Settings
from tests.service.http.gated import answer, behind, client, exchange, never_answer, slow


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

        gate = Gate(Settings(timeout=0.05))
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
        async with anyio.create_task_group() as group:
            group.start_soon(behind(gate, work), scope, receive, send)
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
    start, *_ = anyio.run(exchange, behind(Gate(Settings(timeout=0.05))), slow)
    assert start["status"] == 200


def test_one_request_too_many_is_429_at_once():
    async def crowd():
        entered, leave, found = anyio.Event(), anyio.Event(), {}

        async def wait(scope, receive, send):
            entered.set()
            await leave.wait()
            await answer(scope, receive, send)

        gate = Gate(Settings(concurrency=1))
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(behind(gate, wait)), base_url="http://gate")
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

    gate = Gate(Settings())
    start, _ = anyio.run(exchange, behind(gate, never_answer), receive)
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
        sent = await exchange(behind(Gate(Settings(upload_timeout=0.02))), receive)
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
    start, body = anyio.run(exchange, behind(Gate(Settings()), slowly), receive)
    assert (start["status"], body["body"]) == (200, b"fine")
