"""Which connections are closed after an answer, and which are kept."""

import anyio
from starlette.testclient import TestClient

from service.http.gate import Gate
from service.http.metrics import Metrics
from service.http.observability import Health, Observer
from service.settings import Settings
from tests.service.http.gated import answer, answer_early, behind, client, endless, exchange


def test_early_answer_closes_the_connection_after_a_moment(monkeypatch):
    """An endless body is stopped, but the client has time to read the reason."""
    monkeypatch.setattr("service.http.observability.LINGER", 0.05)
    start, body, end = anyio.run(exchange, behind(Gate(Settings()), answer_early), endless)
    assert (b"connection", b"close") in start["headers"]
    assert (body["body"], body["more_body"]) == (b"no", True)
    assert end == {"type": "http.response.body", "body": b""}


def test_answer_to_a_whole_body_keeps_the_connection():
    assert "connection" not in client().post("/predict", content=b"x").headers
    assert "connection" not in client(answer_early).post("/predict").headers
    assert "connection" not in client(answer_early).get("/models").headers


def test_worker_that_ends_closes_each_connection_after_its_answer():
    """Bug: a client that kept its connection was reset when the worker was gone."""
    health = Health()
    client = TestClient(Observer(answer, health, Metrics({}, [])))
    assert "connection" not in client.get("/models").headers
    health.is_ready = False
    assert client.get("/models").headers["connection"] == "close"
