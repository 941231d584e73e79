"""A request's id, its numbers, its line in the log, and its trace."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

import httpx2
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from service.http.app import create_app
from service.http.metrics import Metrics, rows, share
from service.http.observability import Health, JsonFormatter, Observer, log_request
from tests.conftest import raw
from tests.serving import serving

EXPORT = 60  # seconds in which a span has to be exported on a busy machine


@pytest.mark.parametrize("given", ["Root=1-5759e988-bd862e3fe1be46a994272793", "a" * 128])
def test_a_sane_id_is_echoed(client, given):
    answer = client.get("/models", headers={"X-Request-ID": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, 'x"}', "é".encode()])
def test_an_unsafe_id_is_replaced(client, given):
    headers = {} if given is None else {"X-Request-ID": given}
    first, second = (client.get("/models", headers=headers).headers["x-request-id"] for _ in range(2))
    assert first != second and len(first) == 32 and first.isalnum()


@pytest.mark.parametrize("path", ["/models", "/nowhere", "/page/page.js"])
def test_no_answer_is_taken_for_another_type(client, path):
    assert client.get(path).headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.fixture
def noted(recogniser):
    """A client of the application, and the requests that it told its listener."""
    found = []
    yield TestClient(create_app(recogniser, listeners=[found.append, log_request])), found


@pytest.mark.parametrize("path, field", [("/predict", "image"), ("/read", "image"), ("/predict/batch", "images")])
def test_listener_gets_the_request_with_its_answers(noted, seven, path, field):
    client, found = noted
    assert client.post(path, files={field: seven}).status_code == 200
    (exchange,) = found
    assert (exchange.method, exchange.route, exchange.status, len(exchange.answers)) == ("POST", path, 200, 1)
    assert 0 < exchange.started <= exchange.arrived <= exchange.finished and exchange.received > len(seven)
    assert exchange.answers[0].timing_ms.total / 1e3 <= exchange.finished - exchange.started


@pytest.mark.parametrize(
    "path, route, status",
    [
        ("/nowhere", "unmatched", 404),
        ("/a%0aline", "unmatched", 404),
        ("/predict/x", "unmatched", 404),
        ("/predict", "/predict", 405),
        ("/page/no.js", "/page", 404),
        ("/page/page.js", "/page", 200),
        ("/v2/models/a%0aline", "/v2/models/{model}", 404),
        ("/v2/models/cnn", "/v2/models/{model}", 200),
        ("/v2/models/cnn/nothing", "/v2/models/{model}/{rest:path}", 404),
    ],
)
def test_route_of_a_request_is_never_what_a_client_chose(noted, caplog, path, route, status):
    """Bug: each path that anybody asked for became a time series, and its line breaks went into the log."""
    client, found = noted
    with caplog.at_level("INFO", "bentoml.quintet"):
        client.get(path)
    assert caplog.messages[0].startswith(f"GET {route} {status} in ")
    assert [(exchange.route, exchange.status) for exchange in found] == [(route, status)]
    assert f'quintet_requests_total{{route="{route}",status="{status}"}} 1.0' in client.get("/metrics").text


def test_a_request_that_fails_is_noted_as_500():
    async def fail(scope, receive, send):
        await Request(scope, receive).body()
        raise RuntimeError

    found = []
    with pytest.raises(RuntimeError):
        TestClient(Observer(fail, Health(), Metrics({}, []), [found.append])).post("/", content=b"x")
    assert (found[0].status, found[0].arrived > 0) == (500, True)


def test_metrics_count_requests_answers_and_sizes(client, seven):
    for request in (raw(seven), raw(seven), raw(b"text")):
        client.post("/predict", **request)
    client.post("/read", **raw(seven))
    page = client.get("/metrics").text.splitlines()
    assert 'quintet_requests_total{route="/predict",status="200"} 2.0' in page
    assert 'quintet_requests_total{route="/predict",status="400"} 1.0' in page
    assert 'quintet_request_seconds_count{route="/predict"} 3.0' in page
    assert "quintet_request_bytes_count 4.0" in page
    assert f"quintet_request_bytes_sum {3 * len(seven) + 4:.1f}" in page
    assert "quintet_requests_waiting 0.0" in page
    assert 'quintet_images_total{accepted="true"} 2.0' in page
    assert 'quintet_pages_total{accepted="all"} 1.0' in page
    assert 'quintet_stage_seconds_count{stage="decode"} 2.0' in page


def test_buckets_hold_what_is_at_most_their_bound():
    metrics = Metrics({}, ["/a"])
    for seconds in (0.0001, 0.00011, 1e9):
        metrics.took("/a", 200, seconds, None)
    page = metrics.page()[0].decode()
    found = [line.split() for line in page.splitlines() if line.startswith("quintet_request_seconds_bucket")]
    assert [float(count) for _, count in found] == [1.0] + [2.0] * 16 + [3.0]
    assert "quintet_request_seconds_sum" in page


@pytest.fixture
def memory():
    return share(2) or pytest.skip("this system has no memory that processes can share by memfd_create")


def test_workers_add_up_and_a_new_one_goes_on_where_the_one_before_it_was_killed(memory):
    first, second = (Metrics({}, ["/a"], rows(memory, worker)) for worker in range(2))
    first.took("/a", 200, 1, 5)
    second.took("/a", 200, 1, 5)
    second.waiting.add()
    again = Metrics({}, ["/a"], rows(memory, 1))
    again.took("/a", 200, 1, 5)
    for metrics in (first, again):
        page = metrics.page()[0].decode()
        assert 'quintet_requests_total{route="/a",status="200"} 3.0' in page
        assert "quintet_requests_waiting 0.0" in page


def test_worker_with_other_models_does_not_write_into_the_numbers_of_the_first(memory, caplog):
    first, other = Metrics({}, ["/a"], rows(memory, 0)), Metrics({}, ["/a", "/b"], rows(memory, 1))
    other.took("/b", 200, 1, None)
    assert 'route="/b"' not in first.page()[0].decode() and 'route="/b"' in other.page()[0].decode()
    assert "/metrics shows this worker alone" in caplog.text


def test_without_shared_memory_a_worker_counts_for_itself(monkeypatch, caplog):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("service.http.metrics.os.posix_fallocate", full)
    assert (share(1), caplog.text) == (None, "")
    assert share(2) is None and "No space left on device" in caplog.text
    metrics = Metrics({}, ["/a"], rows(None, 1))
    metrics.took("/a", 200, 1, None)
    assert 'route="/a",status="200"} 1.0' in metrics.page()[0].decode()


def test_a_line_of_json_has_the_traceback_too():
    try:
        raise ValueError('no\n"quotes"')
    except ValueError:
        record = logging.LogRecord("bentoml.x", logging.ERROR, "", 0, "it %s\n", ("failed",), sys.exc_info())
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["level"], line["logger"], line["message"]) == ("error", "bentoml.x", "it failed\n")
    assert line["time"].endswith("+00:00") and 'ValueError: no\n"quotes"' in line["exception"]


@contextmanager
def collector() -> Iterator[tuple[str, Queue]]:
    """A server that takes OTLP over HTTP: its address, and the requests that it got, parsed."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    got: Queue = Queue()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.path, service.ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


@pytest.mark.slow
def test_served_with_traces_and_a_log_of_json(small_models, seven, tmp_path):
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    headers = {"traceparent": f"00-{trace}-{parent}-01", "X-Request-ID": "mine"}
    log = tmp_path / "log"
    settings = {"QUINTET_MODELS": str(small_models), "QUINTET_DEVICE": "cpu", "QUINTET_LOG": "json"}
    with (
        collector() as (endpoint, got),
        log.open("wb") as file,
        serving(log=file, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_BSP_SCHEDULE_DELAY="100", **settings) as address,
    ):
        answer = httpx2.post(f"{address}/predict", files={"image": seven}, headers=headers)
        assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")
        path, exported = got.get(timeout=EXPORT)
        httpx2.get(f"{address}/nowhere%0a", headers={"X-Request-ID": "not sane"})
    assert path == "/v1/traces"
    (resource,) = exported.resource_spans
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}["service.name"] == "quintet"
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    stages = ["upload", "queue", "decode", "canonicalise", "cnn", "faster_rcnn", "vit"]
    assert sorted(spans) == sorted(["POST /predict", *stages])
    whole = spans["POST /predict"]
    assert (whole.trace_id.hex(), whole.parent_span_id.hex()) == (trace, parent)
    for name in stages:
        assert spans[name].parent_span_id == whole.span_id, name
        assert whole.start_time_unix_nano <= spans[name].start_time_unix_nano, name
        assert spans[name].end_time_unix_nano <= whole.end_time_unix_nano, name
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    predicted = [line for line in lines if line.get("route") == "/predict"]
    assert [(line["request_id"], line["status"]) for line in predicted] == [("mine", 200)]
    assert predicted[0]["seconds"] > 0
    (unknown,) = (line for line in lines if line.get("route") == "unmatched")
    assert unknown["status"] == 404 and len(unknown["request_id"]) == 32
