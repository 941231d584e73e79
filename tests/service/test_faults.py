"""What goes wrong around a running service, and what must not follow from it."""

import json
import re
import signal
import socket
import statistics
import threading
import time

import httpx2
import psutil
import pytest
from PIL import Image

from tests.conftest import REPOSITORY, draw
from tests.service.picture.test_decode import encode
from tests.service.test_server import serving

SEVEN = encode(Image.fromarray(draw("7")))
PATIENCE = 30.0  # seconds for what has to happen by itself


@pytest.fixture
def settings(small_models):
    return {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu"}


def server(address):
    """The process that listens at an address: BentoML's supervisor."""
    port = int(address.rsplit(":")[-1])
    for process in psutil.Process().children():
        if str(port) in process.cmdline():
            return process
    raise LookupError(address)


def workers(address):
    found = []
    for child in server(address).children():
        try:
            if "_bentoml_impl.worker.service" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:  # or a zombie, which is one
            pass
    return found


def begin(address, body=SEVEN):
    """A connection that has sent all of a request but for its last byte."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    head = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:-1])
    return connection


def end(connection, body=SEVEN):
    """Send the last byte; the status that comes back, None if the connection is lost."""
    connection.sendall(body[-1:])
    answer = connection.recv(65_536)
    connection.close()
    return int(answer[9:12]) if answer else None


def post(address):
    return httpx2.post(f"{address}/predict", content=SEVEN, headers={"Content-Type": "image/png"}, timeout=PATIENCE)


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
        under_way = [begin(address) for _ in range(8)]
        threads = [threading.Thread(target=load, args=[address]) for _ in range(4)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        while len(seen) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        process = server(address)
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        time.sleep(0.5)  # the signal is on its way through supervisor and worker; the requests are not over yet
        statuses = [end(connection) for connection in under_way]
        process.wait(PATIENCE)
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 8
    answers = [status for status in seen if isinstance(status, int)]
    assert len(answers) >= 20 and set(answers) == {200} and time.monotonic() - told < 30


def test_killed_worker_comes_back_and_the_other_goes_on(settings):
    with serving(**settings, QUINTET_WORKERS="2") as address:
        before = workers(address)
        assert len(before) == 2
        before[0].kill()
        answered = [post(address).status_code for _ in range(20)]
        assert answered == [200] * 20
        deadline = time.monotonic() + PATIENCE
        while len(workers(address)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(workers(address)) == 2 and before[1] in workers(address)


def test_model_damaged_while_serving_stops_only_the_next_start(settings, small_models, capfd):
    with serving(**settings) as address:
        (small_models / "cnn.onnx").write_bytes(b"no model any more")
        assert post(address).json()["digit"] == 7
    with pytest.raises(AssertionError, match="ended while starting"), serving(**settings):
        pass
    assert f"{small_models / 'cnn.onnx'} is not the file that was released" in capfd.readouterr().err


def test_slow_clients_do_not_stop_the_others(settings):
    with serving(**settings) as address:
        slow = [begin(address) for _ in range(64)]
        times = []
        for _ in range(30):
            start = time.monotonic()
            assert post(address).status_code == 200
            times.append(time.monotonic() - start)
        assert statistics.median(times) < 0.5
        assert [end(connection) for connection in slow] == [200] * 64


def test_metrics_add_up_all_workers_and_the_dashboard_asks_for_what_is_there(settings):
    with serving(**settings, QUINTET_WORKERS="2") as address:
        for _ in range(20):
            post(address)
        pages = [httpx2.get(f"{address}/metrics").text for _ in range(6)]
    for page in pages:
        found = dict(re.findall(r"^(quintet_\w+(?:\{.*\})?) (\S+)$", page, re.MULTILINE))
        assert float(found['quintet_images_total{accepted="true"}']) == 20
        assert float(found['quintet_stage_seconds_count{stage="queue"}']) == 20
        assert float(found['quintet_provider{device="cpu",model="cnn"}']) == 1
        assert float(found["quintet_batch_images_sum"]) == 20
    dashboard = json.loads((REPOSITORY / "container" / "grafana.json").read_text())
    queries = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    asked = set(re.findall(r"(?:quintet|bentoml)_\w+", queries))
    assert len(asked) >= 8 and all(f"\n{name}" in pages[0] for name in asked)
