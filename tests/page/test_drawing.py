"""Drawing, with the answer following each stroke."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.page.conftest import (
    EXAMPLES,
    HISTORY,
    IDLE,
    NETWORKS,
    PATIENCE,
    PHONE,
    REFUSED,
    SEVEN,
    TWO,
    expect_answer,
    expect_sentence,
    stroke,
)

pytestmark = pytest.mark.slow


def test_drawn_digit_is_read_by_all_five_and_boxed_by_the_detector(page):
    stroke(page, SEVEN)
    expect_answer(page, "7")
    expect_sentence(page, f"A 7. All {NETWORKS} networks agree.")
    assert page.locator("#networks h3").all_inner_texts()[: len(HISTORY)] == HISTORY  # any other network comes last
    for card in page.locator("#networks li").all():
        expect(card.locator("b")).to_have_text(re.compile(r"^\d$"))
        expect(card.locator(".facts")).to_contain_text(re.compile(r"median \d+\.\d ms$"))
        expect(card.locator(".bars")).to_have_attribute("aria-label", re.compile(r"^\d: \d+\.\d\s%, \d: "))
    steps = page.locator("#strip li")
    expect(steps).to_have_text(["sheet", "ink", "28x28"])
    frame = steps.nth(2).locator("img")
    assert frame.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    expect(page.locator("#timing")).to_have_text(re.compile(r"^\d+ ms on cpu: decode .*, inference \d+\.\d$"))
    pad, box = page.locator("#pad").bounding_box(), page.locator("#boxes rect").bounding_box()
    left, top = (box["x"] - pad["x"]) / pad["width"], (box["y"] - pad["y"]) / pad["height"]
    corners = left, top, left + box["width"] / pad["width"], top + box["height"] / pad["height"]
    assert corners == pytest.approx((0.30, 0.19, 0.64, 0.87), abs=0.06)


def test_answer_comes_while_the_stroke_is_drawn(page):
    pad = page.locator("#pad").bounding_box()
    page.mouse.move(pad["x"] + pad["width"] / 2, pad["y"] + 50)
    page.mouse.down()
    page.mouse.move(pad["x"] + pad["width"] / 2, pad["y"] + 300, steps=10)
    expect(page.locator("#text")).to_have_text("1")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")  # nothing is read out yet
    page.mouse.up()
    expect_answer(page, "1")


def test_finger_draws_and_the_page_stays_where_it_is(open_page):
    page = open_page(**PHONE)
    pad = page.locator("#pad").bounding_box()
    page.evaluate("""() => {
        window.ends = [];
        for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => ends.push(kind), true);
    }""")
    finger = page.context.new_cdp_session(page)  # from below to above: elsewhere this scrolls down
    moves = [("touchMove", 0.2 + step / 20) for step in range(1, 13)]
    for kind, y in [("touchStart", 0.2), *moves, ("touchEnd", None)]:
        points = [] if y is None else [{"x": pad["x"] + pad["width"] / 2, "y": pad["y"] + y * pad["height"]}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect_answer(page, "1")
    assert page.evaluate("[ends, scrollY]") == [["pointerup"], 0]  # cancelled where the browser scrolls instead


def test_undo_removes_the_last_stroke_or_image_and_clear_everything(page):
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.set_input_files("#file", EXAMPLES / "five.png")
    expect_answer(page, "5")
    page.click("#undo")
    expect_answer(page, "7")
    page.click("#clear")
    expect_sentence(page, IDLE)
    page.keyboard.press("Control+z")
    expect_answer(page, "7")
    page.click("#undo")
    expect_sentence(page, IDLE)


def test_several_digits_are_read_as_a_number_without_a_click(page):
    stroke(page, TWO[:1])
    expect_answer(page, "1")
    stroke(page, TWO[1:])
    expect_answer(page, "11")
    expect(page.locator("#digits ol")).to_have_count(1)
    page.locator("#digits button").first.click()
    expect(page.locator("#networks li b")).to_have_text(["1"] * NETWORKS)  # the votes on that digit
    page.click("#undo")
    expect_answer(page, "1")
    page.click("#redo")
    expect_answer(page, "11")


def test_eraser_takes_strokes_away_and_is_inactive_without_any(page):
    expect(page.locator("#eraser")).to_be_disabled()
    stroke(page, TWO)
    expect_answer(page, "11")
    page.keyboard.press("e")
    stroke(page, [[(0.6, y / 20) for y in range(2, 19)]])
    expect_answer(page, "1")


def test_digit_is_drawn_with_the_keyboard_alone(page):
    page.locator("#pad").focus()
    for key in ["ArrowUp"] * 12 + ["Space"] + ["ArrowDown"] * 22 + ["Space"]:
        page.keyboard.press(key)
    expect_answer(page, "1")


def test_strokes_over_an_image_are_read_with_it(page):
    page.set_input_files("#file", EXAMPLES / "seven.png")
    expect_answer(page, "7")
    stroke(page, [[(0.5, 0.1), (0.5, 0.9)]])
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#picture")).to_be_visible()
    pixel = """async () => {
        const image = document.querySelector("#strip .sheet");
        if (!image) return null;
        await image.decode();
        const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d");
        context.drawImage(image, 0, 0);
        return [...context.getImageData(image.naturalWidth / 2, 0.5 * image.naturalHeight, 1, 1).data];
    }"""
    expect(page.locator("#strip .sheet[src^=blob]")).to_be_visible()
    deadline = time.monotonic() + PATIENCE / 1000
    while page.evaluate(pixel) != [0, 0, 0, 255]:  # black; the 7 is blue
        assert time.monotonic() < deadline


def test_what_networks_look_at_is_asked_for_when_it_is_shown_and_goes_with_the_drawing(page):
    asked = []
    page.on("request", lambda request: "inside" in request.url and asked.append(request.url))
    stroke(page, SEVEN)
    expect_answer(page, "7")
    canvases = page.locator("#networks canvas")
    expect(canvases.first).to_be_hidden()
    assert asked == []
    page.keyboard.press("l")
    for canvas in canvases.all():
        expect(canvas).to_be_visible()
    assert len([url for url in asked if "/inside?digit=7" in url]) == NETWORKS
    expect(page.locator("#legend")).to_contain_text("Orange")
    page.click("#clear")
    expect(canvases.first).to_be_hidden()


def test_two_networks_are_looked_into_beside_each_other(page):
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.get_by_role("tab", name="Inside").click()
    page.locator("#inside").get_by_role("button", name="Vision Transformer").click()
    expect(page.locator("#inside h3")).to_have_text(["CNN", "Vision Transformer"])
    captions = page.locator("#inside figcaption")
    expect(captions.nth(0)).to_contain_text("12 convolutions, 3 poolings, 1 dense layer; 1.96 M weights.")
    expect(captions.filter(has_text="3 convolutions, 25 dense layers, 6 layers of attention")).to_have_count(1)
    expect(captions.filter(has_text="6 layers from left to right, 3 heads from above")).to_have_count(1)
    expect(page.locator("#inside .stage img")).to_have_count(4 + 2)
    page.locator("#inside").get_by_role("button", name="Faster R-CNN").click()
    expect(page.locator("#inside h3")).to_have_text(["Vision Transformer", "Faster R-CNN"])
    expect(page.locator("#inside .proposals canvas")).to_have_count(2)


def test_network_is_switched_off_and_on(page):
    asked = []
    page.on("request", lambda request: "predict" in request.url and asked.append(request.url.partition("models=")[2]))
    stroke(page, SEVEN)
    expect_answer(page, "7")
    votes = page.locator("#votes button")
    votes.nth(0).click()
    expect_sentence(page, f"A 7. All {NETWORKS - 1} networks agree.")
    expect(votes.nth(0)).to_have_text("CNN–off")
    assert asked[-1] == "alexnet,vgg16,faster_rcnn,vit"
    for index in range(1, NETWORKS):
        votes.nth(index).click()
    expect(page.locator("#votes [aria-pressed=true]")).to_have_count(1)  # the last one stays
    votes.nth(0).click()
    expect(votes.nth(0)).to_contain_text("7")


def test_who_falls_for_a_drawing_is_counted(page):
    page.select_option("#meant", "1")
    stroke(page, SEVEN)
    expect(page.locator("#score")).to_have_text(f"{NETWORKS} of {NETWORKS} fell; best so far {NETWORKS}.")
    page.click("#clear")
    expect(page.locator("#score")).to_have_text("")


def test_link_holds_the_drawing_and_the_code_the_address(page):
    page.evaluate(
        "() => { document.execCommand = () => { window.copied = document.activeElement.value; return true; }; }"
    )
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.get_by_role("button", name="Link to the drawing").click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    link = page.evaluate("copied")
    assert "#-" in link and len(link) < 1000
    page.goto("about:blank")
    page.goto(link)
    expect_answer(page, "7")
    expect(page.locator("#picture")).to_be_hidden()  # it is the drawing, not the example
    page.get_by_role("button", name="QR code").click()
    expect(page.locator("#code p")).to_have_text(link.partition("#")[0])
    expect(page.locator("#code img")).to_have_js_property("complete", True)
    assert page.locator("#code img").evaluate("image => image.naturalWidth") > 0


def test_answer_that_comes_late_does_not_replace_a_newer_one(page):
    """The test holds the first request back and answers it after the second."""
    held = []
    page.route("**/predict?explain=true", lambda route: route.continue_() if held else held.append(route))
    stroke(page, [[(0.52, 0.3)]])
    stroke(page, SEVEN)
    expect_answer(page, "7")
    held[0].fulfill(json=REFUSED | {"digit": 3})
    page.evaluate("async () => { await fetch('models') }")  # time enough to show it
    expect_answer(page, "7")
