"""The page and /docs in a real browser, against the real service.

The service has a name other than localhost, because browsers and Swagger UI allow more on localhost.
"""

import os
import shutil
from functools import partial
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from service.http.openapi import PREDICTION
from tests.conftest import REPOSITORY, VOTERS

PATIENCE = 20_000  # ms; on a busy machine a browser puts off encoding a canvas for seconds
HOST = "quintet.test"
EXAMPLES = REPOSITORY / "examples"
NETWORKS = len(VOTERS)
HISTORY = ["CNN", "AlexNet", "VGG16", "Faster R-CNN", "Vision Transformer"]  # in the order of the field's history
IDLE = "Write on the sheet, or choose an image."
DESK = {"locale": "en-GB", "viewport": {"width": 1280, "height": 860}}
PHONE = {
    "locale": "en-GB",
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 3,
    "is_mobile": True,
    "has_touch": True,
}
SEVEN = [[(0.32, 0.22), (0.62, 0.21), (0.6, 0.32), (0.5, 0.6), (0.44, 0.85)]]  # strokes, in shares of the pad
BAR = [[(0.5, 0.2), (0.5, 0.8)]]
TWO = [[(0.2, 0.2), (0.2, 0.8)], [(0.6, 0.2), (0.6, 0.8)]]
NO_DIGITS = {"text": "", "digits": [], "is_number": False, "timing_ms": {"decode": 1.0, "total": 2.0}, "device": "cpu"}
READ = {  # by hand: what POST /read answers
    "text": "19\n4",
    "is_number": True,
    "digits": [
        {"digit": 1, "confidence": 0.9991, "accepted": True, "box": [60, 40, 120, 170], "line": 0},
        {"digit": 9, "confidence": 0.9876, "accepted": True, "box": [150, 40, 240, 175], "line": 0},
        {"digit": 4, "confidence": 0.9045, "accepted": True, "box": [80, 200, 180, 330], "line": 1},
        {"digit": 8, "confidence": 0.41, "accepted": False, "box": [400, 300, 450, 350], "line": 1},
    ],
    "timing_ms": {"decode": 1.25, "total": 36.2},
    "device": "cpu",
}
REFUSED = PREDICTION | {
    "confidence": 0.4321,
    "accepted": False,
    "reason": "unsure",
    "agreement": 0,
    "models": [PREDICTION["models"][0] | {"digit": 4}],
}


@pytest.fixture(scope="package")
def launch():
    """Starts Chromium with the command-line arguments that a test needs."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium here")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        root = os.geteuid() == 0
        yield partial(playwright.chromium.launch, executable_path=chromium, chromium_sandbox=not root)


@pytest.fixture(scope="package")
def browser(launch):
    browser = launch(args=[f"--host-resolver-rules=MAP {HOST} 127.0.0.1"])
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser, address):
    """Opens pages of the service. At the end, checks that no other host was asked and no script failed."""
    asked, failed, contexts = [], [], []

    def open_page(path="/", **options):
        context = browser.new_context(base_url=address.replace("127.0.0.1", HOST), **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on("console", lambda message: "Content Security" in message.text and failed.append(message.text))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert (hosts, failed) == ({HOST}, [])


@pytest.fixture
def page(open_page):
    page = open_page(**DESK)
    expect_answer(page, "7")  # the example that the page begins with
    page.click("#clear")
    expect_sentence(page, IDLE)
    return page


def stroke(page, strokes):
    pad = page.locator("#pad").bounding_box()
    for points in strokes:
        start, *rest = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in points]
        page.mouse.move(*start)
        page.mouse.down()
        for point in rest:
            page.mouse.move(*point, steps=4)
        page.mouse.up()


def expect_answer(page, text):
    expect(page.locator("#answer[aria-busy=false] #text")).to_have_text(text)


def expect_sentence(page, sentence):
    expect(page.locator("#answer[aria-busy=false] #sentence")).to_have_text(sentence)
