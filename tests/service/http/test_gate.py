"""The gate in front of applications that wait, fail to read or answer at once: places, time limits, connections."""

import threading

import anyio
import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from service.http.gate import Gate
from service.http.metrics import Metrics
from service.http.observability import Health, Observer
from service.settings import Settings

LAST = {"type": "http.request", "body": b"x", "more_body": False}  # the only part of a body, or its last one
PART = LAST | {"more_body": True}


@pytest.fixture(autouse=True)
def no_lingering(monkeypatch):
    monkeypatch.setattr("service.http.observability.LINGER", 0.05)


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


def http(front):
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(front), base_url="http://gate")


async def exchange(front, receive, sent=None):
    """Post a body, `receive` after `receive`; the messages that are sent."""
    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [(b"transfer-encoding", b"chunked")]}
    sent = [] if sent is None else sent

    async def send(message):
        sent.append(message)

    await front(scope, receive, send)
    return sent


def parts(*messages):
    """A `receive` that gives these messages, then none any more."""
    left = list(messages)

    async def receive():
        return left.pop(0) if left else await anyio.sleep_forever()

    return receive


async def endless():
    await anyio.lowlevel.checkpoint()
    return PART


def test_504_comes_in_time_and_the_place_is_kept_while_the_thread_works():
    async def scenario():
        finish, sent = threading.Event(), []

        async def work(scope, receive, send):
            await Request(scope, receive).body()
            await anyio.to_thread.run_sync(finish.wait, 10)

        gate = Gate(Settings(timeout=0.05))
        async with anyio.create_task_group() as group:
            group.start_soon(exchange, behind(gate, work), parts(LAST), sent)
            while len(sent) < 2:
                await anyio.sleep(0.001)
            places = gate.inside
            finish.set()
        return sent, places, gate.inside

    (start, body), during, after = anyio.run(scenario)
    assert (start["status"], during, after) == (504, 1, 0)
    assert body["body"] == b'{"error":"The answer took longer than 0.05 s; try again."}'


def test_slow_upload_is_not_counted_as_slow_answer():
    async def slow():
        await anyio.sleep(0.1)
        return LAST

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
        async with http(behind(gate, wait)) as client, anyio.create_task_group() as group:

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


def test_request_of_a_disconnected_client_is_cancelled_and_one_that_waits_is_answered(monkeypatch):
    monkeypatch.setattr("service.http.gate.PATIENCE", 0.01)

    async def slowly(scope, receive, send):
        await anyio.sleep(0.1)
        await answer(scope, receive, send)

    gate = Gate(Settings())
    start, _ = anyio.run(exchange, behind(gate, never_answer), parts(LAST, {"type": "http.disconnect"}))
    assert (start["status"], gate.inside) == (499, 0)
    start, body = anyio.run(exchange, behind(gate, slowly), parts(LAST))
    assert (start["status"], body["body"]) == (200, b"fine")


def test_no_timer_starts_after_an_upload_that_took_too_long(monkeypatch):
    """The rest of the body arrives while the answer is being sent; no timer may start then."""
    monkeypatch.setattr("service.http.gate.PATIENCE", 0.01)
    asked = []

    async def receive():
        asked.append(1)
        return LAST if len(asked) == 2 else await anyio.sleep_forever()

    async def story():
        sent = await exchange(behind(Gate(Settings(upload_timeout=0.02))), receive)
        await anyio.sleep(0.1)
        return sent

    assert anyio.run(story)[0]["status"] == 408
    assert len(asked) == 2


def test_body_that_does_not_arrive_is_408():
    gate = Gate(Settings(upload_timeout=0.05))
    start, body, end = anyio.run(exchange, behind(gate), anyio.sleep_forever)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert body["body"] == b'{"error":"The body did not arrive within 0.05 s."}'
    assert (end["body"], gate.inside) == (b"", 0)


def test_body_that_arrives_too_slowly_is_408(monkeypatch):
    """Bug: 128 clients that sent one byte per second held all places without end."""
    monkeypatch.setattr("service.http.gate.PERIOD", 0.05)

    async def drip():
        await anyio.sleep(0.01)
        return PART

    gate = Gate(Settings())
    start, body, _ = anyio.run(exchange, behind(gate), drip)
    assert (start["status"], body["body"]) == (408, b'{"error":"The body arrives at less than 1000 bytes a second."}')
    assert (gate.arriving, gate.inside, gate.held) == (0, 0, 0)


def test_incomplete_bodies_take_no_place_of_complete_ones():
    async def crowd():
        gate = Gate(Settings(concurrency=2))
        front, statuses = behind(gate), []
        async with http(front) as client, anyio.create_task_group() as group:
            for arriving in (10, 16):
                while gate.arriving < arriving:
                    group.start_soon(exchange, front, anyio.sleep_forever)
                    await anyio.sleep(0.001)
                statuses.append((await client.post("/predict", content=b"x")).status_code)
            group.cancel_scope.cancel()
        return statuses

    assert anyio.run(crowd) == [200, 429]


def test_bodies_together_hold_at_most_their_limit(monkeypatch):
    monkeypatch.setattr("service.http.gate.BODIES", 1_000)
    gate = Gate(Settings())
    start, _, _ = anyio.run(exchange, behind(gate), endless)
    assert (start["status"], gate.held) == (429, 0)


def test_body_that_is_complete_while_all_places_are_taken_is_429():
    gate = Gate(Settings(concurrency=1))

    async def last_part():
        gate.inside += 1  # somebody else was faster
        return LAST

    start, *_ = anyio.run(exchange, behind(gate), last_part)
    assert (start["status"], gate.arriving, gate.inside, gate.held) == (429, 0, 1, 0)


def test_early_answer_closes_the_connection_after_a_moment():
    """An endless body is stopped, but the client has time to read the reason."""
    start, body, end = anyio.run(exchange, behind(Gate(Settings()), answer_early), endless)
    assert (b"connection", b"close") in start["headers"]
    assert (body["body"], body["more_body"]) == (b"no", True)
    assert end == {"type": "http.response.body", "body": b""}


def test_answer_to_a_whole_body_keeps_the_connection():
    for app, method, body in ((answer, "POST", b"x"), (answer_early, "POST", b""), (answer_early, "GET", b"")):
        found = TestClient(behind(Gate(Settings()), app)).request(method, "/predict", content=body)
        assert "connection" not in found.headers
