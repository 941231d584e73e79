"""A request's id, its line in a log of JSON, and its trace."""

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
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from service.http.logs import JsonFormatter
from service.http.requests import Requests
from tests.serving import serving

EXPORT = 60  # seconds in which a span has to be exported on a busy machine


@pytest.mark.parametrize("given", ["7f3a", "Root=1-5759e988-bd862e3fe1be46a994272793", "a" * 128])
def test_a_sane_id_is_echoed(app, given):
    answer = TestClient(Requests(app, [])).get("/models", headers={"X-Request-ID": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, 'x"}', "é".encode()])
def test_an_unsafe_id_is_replaced(app, given):
    client = TestClient(Requests(app, []))
    headers = {} if given is None else {"X-Request-ID": given}
    first, second = (client.get("/models", headers=headers).headers["x-request-id"] for _ in range(2))
    assert first != second and len(first) == 32 and first.isalnum()


def test_a_record_has_every_stage_in_its_time(app, seven):
    records = []
    client = TestClient(Requests(app, [records.append]))
    assert client.post("/predict", files={"image": seven}).status_code == 200
    (record,) = records
    assert (record.method, record.route, record.status) == ("POST", "/predict", 200)
    names = [stage.name for stage in record.stages]
    assert names == ["queue", "decode", "canonicalise", "cnn", "faster_rcnn", "vit"]
    assert record.started <= record.arrived <= record.stages[0].started
    times = [time for stage in record.stages for time in (stage.started, stage.finished)]
    assert times == sorted(times) and times[-1] <= record.finished


@pytest.mark.parametrize(
    ("path", "request_", "stages"),
    [
        ("/read", "image", {"decode", "read"}),
        ("/predict/batch", "images", {"queue", "decode", "canonicalise", "cnn", "faster_rcnn", "vit"}),
    ],
)
def test_other_routes_have_stages_too(app, seven, path, request_, stages):
    records = []
    TestClient(Requests(app, [records.append])).post(path, files={request_: seven})
    assert {stage.name for stage in records[0].stages} == stages


def test_a_request_that_fails_is_recorded_as_500():
    async def fail(scope, receive, send):
        await Request(scope, receive).body()
        raise RuntimeError

    records = []
    with pytest.raises(RuntimeError):
        TestClient(Requests(fail, [records.append])).post("/", content=b"x")
    assert (records[0].status, records[0].arrived > 0) == (500, True)


def test_without_listeners_no_record_is_made(app, seven):
    from service.timeline import stages

    async def look(scope, receive, send):
        await PlainTextResponse(str(stages.get()))(scope, receive, send)

    assert TestClient(Requests(look, [])).post("/predict", files={"image": seven}).text == "None"


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
    (unknown,) = (line for line in lines if line.get("route") == "/unknown")
    assert unknown["status"] == 404 and len(unknown["request_id"]) == 32
