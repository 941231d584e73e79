import asyncio
import contextlib
import json

import numpy as np
import pytest

from benchmarks import http, load, servers, soak
from benchmarks.peers import naive

ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"


async def loaded(handler, **how):
    """The figures of a load on a server with this handler, which gets the bytes of every request."""
    seen = []

    async def connection(reader, writer):
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                seen.append(head + await reader.readexactly(length))
            except asyncio.IncompleteReadError:
                break
            if not await handler(writer, len(seen)):
                break
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    messages = [load.request("/predict", b"picture", "image/png", "127.0.0.1")]
    found = await load._load("127.0.0.1", port, messages, **how)
    server.close()
    return found, seen


def test_each_connection_sends_its_next_request_after_an_answer():
    inside = most = 0

    async def slow(writer, _):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        writer.write(ANSWER % 200)
        return True

    found, seen = asyncio.run(loaded(slow, connections=3, seconds=0.5, warm_up=0.1))
    assert most == 3 and set(seen) == {load.request("/predict", b"picture", "image/png", "127.0.0.1")}
    assert set(found["statuses"]) == {200} and len(found["milliseconds"]) == found["statuses"][200]
    assert min(found["milliseconds"]) >= 20 and len(found["milliseconds"]) <= 75


def test_refusals_and_lost_connections_are_counted_and_are_no_answers():
    async def moody(writer, number):
        if number % 3 == 0:
            return False
        writer.write(ANSWER % (503 if number % 3 == 1 else 200))
        return True

    found, _ = asyncio.run(loaded(moody, connections=1, seconds=0.3, warm_up=0.0))
    assert set(found["statuses"]) == {200, 503, "IncompleteReadError"}
    assert len(found["milliseconds"]) == found["statuses"][200]


def test_table_holds_the_service_against_each_server_of_the_same_round():
    def row(turn, server, speed):
        latency = {"latency_p50_ms": 1.0, "latency_p99_ms": 2.0, "cpu_ms": 0.5}
        case = {"round": turn, "server": server, "models": "cnn", "connections": 16}
        return case | latency | {"requests_per_sec": speed}

    rows = [row(0, "floor", 1000.0), row(0, "service", 800.0), row(1, "floor", 100.0), row(1, "service", 90.0)]
    floor, service = (line.split() for line in http.table(rows).splitlines()[1:])
    assert floor == ["cnn", "16", "floor", "550", "1.00", "2.00", "0.50", "0.85", "(0.80", "to", "0.90)"]
    assert service[:4] == ["cnn", "16", "service", "445"] and service[7] == "1.00"


def test_table_without_the_service_has_no_ratio():
    latency = {"latency_p50_ms": 1.0, "latency_p99_ms": 2.0, "cpu_ms": 0.5}
    row = {"round": 0, "server": "floor", "models": "cnn", "connections": 1, "requests_per_sec": 1000.0}
    assert http.summary([row | latency])[0]["service_ratio"] is None


@pytest.mark.parametrize(
    ("session", "preferred"), [("/autogroup-7 nice -5\n", True), ("/autogroup-7 nice 0\n", False), ("", False)]
)
def test_measurements_say_whether_linux_preferred_them(session, preferred, monkeypatch, tmp_path):
    monkeypatch.setattr(servers, "AUTOGROUP", tmp_path / "autogroup")
    servers.AUTOGROUP.write_text(session)
    assert servers.is_preferred() is preferred


@pytest.mark.slow
@pytest.mark.parametrize("kind", servers.COMMANDS)
def test_each_server_is_measured(kind, capsys, tmp_path):
    if kind in servers.missing():
        pytest.skip(f"{kind} is not installed")
    plot = tmp_path / "plot.png"
    http.main(["--seconds", "0.5", "--rounds", "1", "--connections", "2", "--servers", kind, "--plot", str(plot)])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(row["server"], row["models"]) for row in result["rows"]] == [(kind, "cnn"), (kind, "all")]
    assert all(set(row["statuses"]) == {"200"} and row["requests_per_sec"] > 0 for row in result["rows"])
    assert all(row["cpu_ms"] > 0 for row in result["rows"])
    assert len(result["ready_s"]) == (kind == "service") and plot.stat().st_size > 0


def test_peers_answer_with_the_mean_of_their_networks():
    image = naive.decode((http.EXAMPLES / "seven.png").read_bytes())
    answer = naive.Networks(naive.CHOICES["all"]).answers(image[None])[0]
    assert image.shape == (1, 28, 28) and set(answer["models"]) == set(naive.CHOICES["all"])
    mean = np.mean(list(answer["models"].values()), axis=0)
    assert answer["digit"] == mean.argmax() and answer["confidence"] == pytest.approx(mean.max())


def test_connections_go_through_all_messages_each_from_its_own_place():
    seen = set()

    async def connection(reader, writer):
        first = await reader.readuntil(b"\r\n\r\n")
        seen.add(first.split()[1])
        writer.write(ANSWER % 200)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER % 200)
        writer.close()

    async def load_two():
        server = await asyncio.start_server(connection, "127.0.0.1", 0)
        messages = [load.request(path, b"", "image/png", "127.0.0.1") for path in ("/a", "/b", "/c", "/d")]
        await load._load("127.0.0.1", server.sockets[0].getsockname()[1], messages, 2, 0.1, 0.0)
        server.close()

    asyncio.run(load_two())
    assert seen == {b"/a", b"/c"}


def test_soak_says_what_grew_after_it_had_settled():
    samples = [{"memory_mb": 100.0 + i, "file_descriptors": 30.0, "threads": 9.0} for i in range(121)]  # ten minutes
    found = soak.summary(samples, {200: 90, 400: 8, 503: 1, "TimeoutError": 1})
    assert (found["answers"], found["errors"]) == (99, 2)
    assert (found["memory_mb"]["settled"], found["memory_mb"]["last"]) == (164.5, 215.5)
    assert found["threads"] == {"settled": 9.0, "last": 9.0, "highest": 9.0}


def test_mixture_holds_each_kind_as_often_as_said():
    kinds = [message.split()[1].split(b"?")[0] for message in soak.messages("127.0.0.1")]
    assert len(kinds) == soak.ORDER
    assert kinds.count(b"/classify") == pytest.approx(100, abs=30)
    assert kinds.count(b"/predict/batch") == pytest.approx(100, abs=30)


@pytest.mark.slow
def test_a_soak_says_errors_memory_descriptors_and_threads(capsys, monkeypatch):
    monkeypatch.setattr(soak, "SAMPLE", 0.5)
    monkeypatch.setattr(soak, "SETTLED", 1.0)
    http.main(["--minutes", "0.1"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["errors"] == 0 and result["answers"] > 0
    assert {"200", "400", "404", "415"} <= set(result["statuses"])
    assert result["memory_mb"]["settled"] > 100 and result["threads"]["last"] > 1
