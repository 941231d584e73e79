"""Faults around a running service, and their limits."""

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import httpx2
import psutil
import pytest
from PIL import Image

from tests.conftest import draw, encode
from tests.serving import serving, supervisor, workers
from tests.test_deploy import asked

SEVEN = encode(Image.fromarray(draw("7")))
PATIENCE = 60.0  # seconds for what has to happen by itself


@pytest.fixture
def settings(small_models):
    return {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu"}


def wait_for(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)  # the poll's interval


def begin(address, body=SEVEN):
    """A connection that has sent a request without its last byte."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:-1])
    return connection


def end(connection, body=SEVEN):
    """Send the last byte. Returns the status of the answer, or None if the connection is lost."""
    connection.sendall(body[-1:])
    answer = connection.recv(65_536)
    connection.close()
    return int(answer[9:12]) if answer else None


def post(address):
    return httpx2.post(f"{address}/predict", content=SEVEN, headers={"Content-Type": "image/png"}, timeout=PATIENCE)


@pytest.mark.slow
def test_sigterm_under_load_loses_no_request_that_is_under_way(settings):
    seen, stop = [], threading.Event()

    def load(address):
        while not stop.is_set():
            try:
                seen.append(post(address).status_code)
            except httpx2.ConnectError:  # it no longer takes connections
                return
            except httpx2.TransportError as error:  # taken by the listening socket, which nobody serves any more
                seen.append(type(error).__name__)
                return

    with serving(**settings) as address:
        threads = [threading.Thread(target=load, args=[address]) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(seen) >= 20)
        under_way = [begin(address) for _ in range(8)]  # they have 5 s for their last byte
        process = supervisor(address)
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(address))
        statuses = [end(connection) for connection in under_way]
        process.wait(PATIENCE)
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 8
    answers = [status for status in seen if isinstance(status, int)]
    assert len(answers) >= 20 and set(answers) == {200}


def refuses(address):
    """Whether new connections are refused or get no answer."""
    try:
        httpx2.get(f"{address}/livez", timeout=1)
    except httpx2.TransportError:
        return True
    return False


@pytest.mark.slow
def test_after_sigterm_readiness_falls_and_kept_connections_are_closed_by_an_answer_before_the_worker_is_gone(settings):
    """Bug: the next request on such a connection was reset."""
    with serving(**settings | {"QUINTET_DRAIN": "3600"}) as address, httpx2.Client(base_url=address) as client:
        assert "connection" not in client.get("/livez").headers
        (worker,) = workers(address)
        worker.send_signal(signal.SIGTERM)  # as the supervisor does
        wait_for(lambda: client.get("/readyz").status_code == 503)
        assert post(address).status_code == 200
        assert client.get("/livez").headers["connection"] == "close"
        worker.send_signal(signal.SIGTERM)  # ends the wait
        wait_for(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
def test_worker_that_dies_while_a_model_is_damaged_ends_the_service(settings, own_models, capfd):
    """Bug: the worker was restarted without end, and /readyz hung."""
    settings |= {"QUINTET_MODELS": str(own_models)}
    with contextlib.suppress(psutil.NoSuchProcess), serving(**settings) as address:
        (own_models / "cnn.onnx").write_bytes(b"no model any more")
        assert post(address).json()["digit"] == 7  # what is loaded goes on
        process = supervisor(address)
        workers(address)[0].kill()
        assert process.wait(PATIENCE) == 1
    said = capfd.readouterr().err
    assert f"{own_models / 'cnn.onnx'} is not the file that was released" in said
    assert said.strip().endswith("Quintet ends: its workers cannot start, for the reason above.")


@pytest.mark.slow
def test_slow_clients_do_not_stop_the_others(settings):
    """Bug: slow bodies held all places without end, and everybody else got 429."""
    with serving(**settings, QUINTET_CONCURRENCY="8") as address:
        slow = [begin(address) for _ in range(32)]
        assert [post(address).status_code for _ in range(10)] == [200] * 10
        assert [httpx2.get(f"{address}/readyz").status_code for _ in range(5)] == [200] * 5
        # Each is told when it is too slow: none of them sends its last byte.
        statuses = [int(connection.recv(12)[9:12]) for connection in slow]
        for connection in slow:
            connection.close()
        assert set(statuses) == {408}


@pytest.mark.slow
def test_killed_worker_comes_back_and_the_other_goes_on(server):
    before = workers(server.address)
    assert len(before) == 2
    before[0].kill()
    assert [post(server.address).status_code for _ in range(20)] == [200] * 20
    wait_for(lambda: len(workers(server.address)) == 2)
    assert before[1] in workers(server.address)


@pytest.mark.slow
def test_service_starts_and_counts_where_nothing_more_can_be_written(settings, tmp_path, monkeypatch):
    """Bug: with a full /tmp, workers died one after another, without a word in the log."""
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(full)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system of a limited size can be mounted here")
    try:
        (full / "all").write_bytes(bytes(60_000))
        with contextlib.suppress(OSError):
            (full / "rest").write_bytes(bytes(60_000))
        with serving(**settings, QUINTET_WORKERS="2", TMPDIR=str(full), BENTOML_HOME=str(full / "bentoml")) as address:
            before = workers(address)
            assert [post(address).status_code for _ in range(20)] == [200] * 20
            page = httpx2.get(f"{address}/metrics").text
            assert workers(address) == before
        assert 'quintet_requests_total{route="/predict",status="200"} 20.0' in page
    finally:
        subprocess.run(["umount", "--lazy", str(full)], check=True)


@pytest.mark.slow
def test_workers_end_with_a_supervisor_that_is_killed(settings):
    """Bug: they kept the port, and no new service could start."""
    with contextlib.suppress(psutil.NoSuchProcess), serving(**settings, QUINTET_DRAIN="3600") as address:
        before = workers(address)
        supervisor(address).kill()
        wait_for(lambda: not any(worker.is_running() for worker in before))
        assert refuses(address)


@pytest.mark.slow
def test_metrics_add_up_all_workers(server):
    """Bug: they lay in a folder that all servers of a user shared. If it was gone, 500 for ever."""

    def figures():
        page = httpx2.get(f"{server.address}/metrics").text
        return dict(re.findall(r"^(quintet_\w+(?:\{.*\})?) (\S+)$", page, re.MULTILINE)), page

    before, _ = figures()
    for _ in range(20):
        post(server.address)
    read = httpx2.post(f"{server.address}/read", content=SEVEN, headers={"Content-Type": "image/png"})
    assert read.status_code == 200
    grown = {
        'quintet_images_total{accepted="true"}': 20,
        'quintet_stage_seconds_count{stage="queue"}': 20,
        "quintet_confidence_ratio_count": 20,
        "quintet_agreement_models_count": 20,
        "quintet_request_bytes_count": 21,
        'quintet_pages_total{accepted="all"}': 1,
        "quintet_batch_images_sum": 20 + 1,  # the one of the page
    }
    for _ in range(6):
        found, page = figures()
        assert {name: float(found[name]) - float(before[name]) for name in grown} == grown
        assert float(found["quintet_requests_waiting"]) == 0
        (info,) = [name for name in found if name.startswith("quintet_model_info") and 'model="cnn"' in name]
        assert re.fullmatch(r'.*device="cpu",model="cnn",sha256="[0-9a-f]{64}".*', info)
    assert len(asked()) >= 12
    assert {name for name in asked() if f"\n{name}" not in page} == set()
