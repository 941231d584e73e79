"""What the gate does with bodies that are slow, large or many."""

import anyio
import httpx2

from service.http.gate import Gate
from service.settings import Settings
from tests.service.http.gated import behind, endless, exchange


def test_body_that_does_not_arrive_is_408(monkeypatch):
    monkeypatch.setattr("service.http.observability.LINGER", 0.01)
    gate = Gate(Settings(upload_timeout=0.05))
    start, body, end = anyio.run(exchange, behind(gate), anyio.sleep_forever)
    assert start["status"] == 408
    assert (b"connection", b"close") in start["headers"]
    assert body["body"] == b'{"error":"The body did not arrive within 0.05 s."}'
    assert (end["body"], gate.inside) == (b"", 0)


def test_body_that_arrives_too_slowly_is_408(monkeypatch):
    """Bug: 128 clients that sent one byte per second held all places without end."""
    monkeypatch.setattr("service.http.observability.LINGER", 0.01)
    monkeypatch.setattr("service.http.gate.PERIOD", 0.05)

    async def drip():
        await anyio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    gate = Gate(Settings())
    start, body, _ = anyio.run(exchange, behind(gate), drip)
    assert (start["status"], body["body"]) == (408, b'{"error":"The body arrives at less than 1000 bytes a second."}')
    assert (gate.arriving, gate.inside, gate.held) == (0, 0, 0)


def test_incomplete_bodies_take_no_place_of_complete_ones():
    async def crowd():
        gate = Gate(Settings(concurrency=2))
        front = behind(gate)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(exchange, front, anyio.sleep_forever)
            while gate.arriving < 10:
                await anyio.sleep(0)
            transport = httpx2.ASGITransport(front)
            async with httpx2.AsyncClient(transport=transport, base_url="http://gate") as client:
                found = await client.post("/predict", content=b"x")
                for _ in range(6):
                    group.start_soon(exchange, front, anyio.sleep_forever)
                while gate.arriving < 16:
                    await anyio.sleep(0)
                refused = await client.post("/predict", content=b"x")
            group.cancel_scope.cancel()
        return found.status_code, refused.status_code

    assert anyio.run(crowd) == (200, 429)


def test_bodies_together_hold_at_most_their_limit(monkeypatch):
    monkeypatch.setattr("service.http.observability.LINGER", 0.01)
    monkeypatch.setattr("service.http.gate.BODIES", 1_000)
    gate = Gate(Settings())
    start, _, _ = anyio.run(exchange, behind(gate), endless)
    assert (start["status"], gate.held) == (429, 0)


def test_body_that_is_complete_while_all_places_are_taken_is_429():
    async def crowd():
        gate = Gate(Settings(concurrency=1))

        async def last_part():
            gate.inside += 1  # somebody else was faster
            return {"type": "http.request", "body": b"x", "more_body": False}

        sent = await exchange(behind(gate), last_part)
        return sent[0]["status"], gate.arriving, gate.inside, gate.held

    assert anyio.run(crowd) == (429, 0, 1, 0)
