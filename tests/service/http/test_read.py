"""POST /read without a server."""

import threading
from functools import partial

import anyio
import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from service.http.app import create_app
from service.picture.errors import InvalidImage
from service.recogniser import Recogniser
from service.settings import Settings
from tests.conftest import TEXT, draw, encode


def test_reading_gives_the_text_and_each_digit(client):
    number = encode(Image.fromarray(draw("33", (200, 400))))
    answer = client.post("/read", files={"image": number})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == TEXT
    assert (body["text"], body["transcript"], body["note"], body["device"]) == ("77", "77", None, "cpu")
    assert [list(digit) for digit in body["digits"]] == [
        ["digit", "confidence", "accepted", "reason", "box", "line"]
    ] * 2
    assert [list(mark) for mark in body["marks"]] == [["mark", "confidence", "accepted", "box", "line"]] * 2
    assert [list(number) for number in body["numbers"]] == [["number", "box", "line"]]
    assert [mark["box"] for mark in body["marks"]] == [digit["box"] for digit in body["digits"]]
    assert [(digit["digit"], digit["accepted"], digit["line"]) for digit in body["digits"]] == [(7, True, 0)] * 2
    assert list(body["timing_ms"]) == ["decode", "read", "total"]
    (_, top, right, bottom), (left, *_) = (digit["box"] for digit in body["digits"])
    assert 0 < right < left < 400 and 80 < bottom - top < 140


def test_boxes_of_a_large_photograph_are_in_its_own_pixels(client):
    page = np.full((2400, 3000), 255, np.uint8)
    page[1000:1600, 2000:2600] = draw("3", (600, 600), 15, 36)
    (digit,) = client.post("/read", files={"image": encode(Image.fromarray(page))}).json()["digits"]
    assert np.abs(np.array(digit["box"])[[1, 3]].mean() - 1300) < 60 and 2100 < digit["box"][0] < 2300


@pytest.mark.parametrize("route", ["/read", "/read?models=resnet"])
def test_reading_refuses_as_predicting_does(client, route):
    blank = {"image": encode(Image.new("L", (300, 300), 255))}
    refused = [client.post(path, files=blank) for path in (route, route.replace("read", "predict"))]
    assert refused[0].status_code == refused[1].status_code >= 400
    assert refused[0].json() == refused[1].json()


def test_reading_stops_at_the_deadline(small_models, seven):
    """Bug: the client was told after `timeout` seconds, and the work went on."""
    app = create_app(Recogniser(settings=Settings(models=small_models, device="cpu", threads=1, timeout=1e-9)))
    answer = TestClient(app).post("/read", files={"image": seven})
    late = "The picture could not be read in time.", "The answer took longer than 1e-09 s; try again."
    assert answer.status_code == 504 and answer.json()["error"] in late


def test_reading_has_slots_of_its_own(app, seven, monkeypatch):
    """Bug: eight pages that take seconds held all slots of /predict."""
    finish = threading.Event()

    def never_ends(*_):
        finish.wait(30)
        raise InvalidImage("It ended.")

    monkeypatch.setattr("service.recogniser.read", never_ends)

    async def crowd():
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://quintet")
        async with client, anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(partial(client.post, "/read", files={"image": seven}))
            await anyio.sleep(0.2)  # all of them have arrived
            try:
                with anyio.fail_after(20):
                    return await client.post("/predict", files={"image": seven})
            finally:
                finish.set()

    assert anyio.run(crowd).status_code == 200
