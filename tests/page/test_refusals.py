"""Every failure gets a sentence."""

import json

import pytest
from PIL import Image
from playwright.sync_api import expect

from service.http.openapi import ERRORS, PREDICTION
from tests.conftest import REPOSITORY, encode
from tests.page.conftest import (
    DESK,
    EXAMPLES,
    NETWORKS,
    NO_DIGITS,
    REFUSED,
    SEVEN,
    expect_answer,
    expect_sentence,
    stroke,
)

pytestmark = pytest.mark.slow


def test_file_that_is_no_image_gets_the_sentence_of_the_service_and_no_vote_of_an_older_picture(page):
    """Bug: after an error, the five cards still showed what they had said of the picture before."""
    stroke(page, SEVEN)
    expect_answer(page, "7")
    expect(page.locator("#networks li b").first).to_have_text("7")
    page.set_input_files("#file", REPOSITORY / "README.md")
    expect_sentence(page, "This is text; send a picture, as PNG, JPEG, WebP, BMP, GIF, TIFF, HEIC or AVIF.")
    expect(page.locator("#unshown")).to_be_hidden()  # one message, not three
    expect(page.locator("#advice")).to_be_hidden()
    expect(page.locator("#networks li b")).to_have_text(["–"] * NETWORKS)
    page.click("#clear")
    stroke(page, SEVEN)
    expect_answer(page, "7")


def test_blank_image_gets_advice(page):
    blank = encode(Image.new("L", (400, 300), 255))
    page.set_input_files("#file", {"name": "blank.png", "mimeType": "image/png", "buffer": blank})
    expect_sentence(page, "The image is blank: no ink stands out from the background.")
    expect(page.locator("#advice")).to_contain_text("thicker pen")


def test_refused_image_gets_a_friendly_sentence_and_a_small_guess(page):
    """The service's answers are fakes, because the models decide what it refuses."""
    page.route("**/predict*", lambda route: route.fulfill(json=REFUSED))
    page.route("**/read", lambda route: route.fulfill(json=NO_DIGITS))
    stroke(page, SEVEN)
    expect_answer(page, "No digit?")
    expect_sentence(page, "If it is a digit, then most likely a 7 (43.2 %). Faster R-CNN says a 4.")
    expect(page.locator("#advice")).to_contain_text("thicker pen")


def test_unreachable_service_gets_a_sentence(page):
    page.context.set_offline(True)
    stroke(page, SEVEN)
    expect_sentence(page, "The service cannot be reached; are you online?")
    page.context.set_offline(False)
    stroke(page, [[(0.44, 0.85), (0.43, 0.9)]])  # the foot of the 7, a little longer
    expect(page.locator("#answer[aria-busy=false] #text")).to_have_text("7")


def test_slow_answer_takes_the_older_one_away(page):
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.route("**/predict*", lambda route: None)  # never answered
    stroke(page, [[(0.44, 0.85), (0.43, 0.9)]])
    expect(page.locator("#sentence")).to_have_text("Reading…")
    expect(page.locator("#networks li b")).to_have_text(["–"] * NETWORKS)


def test_average_against_most_networks_is_explained(page):
    """The service's answer is a fake."""
    votes = [PREDICTION["models"][0] | {"name": name, "digit": 1} for name in ("cnn", "vit", "alexnet")]
    seven = [PREDICTION["models"][0] | {"name": name, "digit": 7} for name in ("vgg16", "faster_rcnn")]
    answer = PREDICTION | {"digit": 7, "confidence": 0.512, "agreement": 2, "models": votes + seven}
    page.route("**/predict*", lambda route: route.fulfill(json=answer))
    page.route("**/read", lambda route: route.fulfill(json=NO_DIGITS))
    stroke(page, SEVEN)
    others = "CNN says a 1, AlexNet says a 1, Vision Transformer says a 1"
    expect_sentence(page, f"A 7, says the average; {others}, but less surely.")
    expect(page.locator("#shares")).to_contain_text("51.2\u00a0% sure")


@pytest.mark.parametrize("answer", [{"body": "<h1>Bad gateway</h1>"}, {"json": {"message": "Bad gateway"}}])
def test_answer_of_a_proxy_gets_a_sentence(page, answer):
    page.route("**/predict*", lambda route: route.fulfill(status=502, **answer))
    stroke(page, SEVEN)
    expect_sentence(page, "The service answered 502, and not in its own words.")


@pytest.mark.parametrize("source, status", [("drawing", 503), ("file", 413)])
def test_error_is_shown_in_the_language_of_the_page(open_page, status, source):
    """The answers are fakes."""
    page = open_page(**DESK | {"locale": "de-DE"})
    expect_answer(page, "7")
    assert page.evaluate("document.documentElement.lang") == "de"
    page.route("**/predict*", lambda route: route.fulfill(status=status, json={"error": ERRORS[status][1]}))
    page.route("**/read*", lambda route: route.fulfill(status=status, json={"error": ERRORS[status][1]}))
    if source == "drawing":
        stroke(page, SEVEN)
    else:
        page.set_input_files("#file", EXAMPLES / "five.png")
    words = json.loads((REPOSITORY / "service/page/languages/de.json").read_text())
    assert {f"status.{other}" for other in (400, 408, 413, 415, 422, 429, 500, 503, 504)} <= set(words)
    expect_sentence(page, words[f"status.{status}"].replace("{error}", ERRORS[status][1]))
    expect(page.locator("#votes b")).to_have_text(["–"] * NETWORKS)
    expect(page.locator("#text")).to_have_text("")
    expect(page.locator("#shares")).to_have_text("")


def test_networks_are_introduced_as_soon_as_they_can_be(open_page):
    page = open_page("/docs")  # the same host, so that the route is there before the page is
    page.route("**/models", lambda route: route.fulfill(status=503, json={"error": "Not yet."}), times=1)
    page.goto("/")
    expect_sentence(page, "Not yet.")
    stroke(page, SEVEN)
    expect_answer(page, "7")
    expect(page.locator("#networks li b").first).to_have_text("7")


def test_key_is_asked_for_if_the_service_needs_one(open_page, address):
    """The service's refusal is a fake."""

    def guard(route):
        if route.request.headers.get("authorization") == "Bearer open sesame":
            route.continue_()
        else:
            route.fulfill(status=401, json={"error": "The API key is missing or wrong."})

    page = open_page("/docs")  # the same host, so that the routes are there before the page is
    page.route("**/models", guard)
    page.route("**/predict*", guard)
    page.route("**/read*", guard)
    page.goto("/")
    expect_sentence(page, "This server is protected. Please enter its API key; it stays in this tab.")
    page.get_by_label("API key").fill("sesame")
    page.keyboard.press("Enter")
    expect_sentence(page, "That API key is wrong. Please enter the server's API key.")
    page.get_by_label("API key").fill("")
    page.get_by_label("API key").focus()
    paste = "new ClipboardEvent('paste', {clipboardData: new DataTransfer(), bubbles: true})"
    page.evaluate(f"document.activeElement.dispatchEvent({paste})")  # text, no image
    expect(page.get_by_label("API key")).to_be_visible()
    page.keyboard.type("open sesame")
    page.keyboard.press("Enter")
    expect(page.locator("#networks li")).to_have_count(NETWORKS)
    stroke(page, SEVEN)
    expect_answer(page, "7")
    expect(page.get_by_label("API key")).to_be_hidden()
