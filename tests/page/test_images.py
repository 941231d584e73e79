"""Files, drops, pastes, examples, and whole numbers."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.conftest import draw
from tests.page.conftest import EXAMPLES, READ, expect_answer, expect_sentence
from tests.service.picture.test_decode import encode

pytestmark = pytest.mark.slow


def test_uploaded_file_is_shown_and_read(page):
    page.set_input_files("#file", EXAMPLES / "seven.png")
    expect_answer(page, "7")
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("#pad")).to_be_hidden()
    expect(page.locator("#boxes rect")).to_be_visible()
    expect(page.locator("#boxes text")).to_have_text("faster_rcnn")


def test_image_that_is_too_large_for_the_service_is_made_smaller(page):
    large = Image.fromarray(draw("5")).resize((4500, 4500))
    page.set_input_files("#file", {"name": "large.png", "mimeType": "image/png", "buffer": encode(large)})
    expect_answer(page, "5")


@pytest.mark.parametrize("event, carrier", [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_dropped_and_pasted_images_are_read(page, event, carrier):
    give = """async ([event, carrier, path]) => {
        const data = new DataTransfer();
        if (path) data.items.add(new File([await (await fetch(path)).blob()], "image.png"));
        const Kind = { drop: DragEvent, paste: ClipboardEvent }[event];
        document.body.dispatchEvent(new Kind(event, { [carrier]: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(give, [event, carrier, "page/examples/two.png"])
    expect_answer(page, "2")
    page.evaluate(give, [event, carrier, None])
    expect_sentence(page, re.compile("^There is no image in what was (dropped|pasted)[.]$"))


@pytest.mark.parametrize(
    "alt, digit", [("7 in blue", "7"), ("3 in pencil", "3"), ("5 in chalk", "5"), ("2 in red", "2")]
)
def test_example_is_read(page, alt, digit):
    page.get_by_role("button", name=alt).click()
    expect_answer(page, digit)


def test_number_is_read_with_a_box_for_each_digit(page):
    """The answer of POST /read is made up here."""
    page.route("**/read", lambda route: route.fulfill(json=READ))
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "19\n4")
    expect(page.get_by_role("radio", name="A whole number")).to_be_checked()
    expect_sentence(page, "3 digits, each at least 98.7 % sure. 1 mark left out: probably no digit.")
    expect(page.locator("#boxes text")).to_have_text(["1", "9", "4", "8?"])
    expect(page.locator("#digits li")).to_have_text(["199.9 %", "998.7 %", "499.4 %", "841.0 %, left out"])
    picture = page.locator("#picture").bounding_box()
    last = page.locator("#boxes rect").nth(3).bounding_box()
    assert abs((last["x"] - picture["x"]) / picture["width"] - 400 / 560) < 0.01


def test_number_of_the_examples_is_read_by_the_service(page):
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1969\n42")
    expect(page.locator("#boxes text")).to_have_text(list("196942"))
