"""Drawing, with the answer following each stroke."""

import re

import pytest
from playwright.sync_api import expect

from tests.page.conftest import EXAMPLES, IDLE, PHONE, READ, REFUSED, SEVEN, expect_answer, expect_sentence, stroke

pytestmark = pytest.mark.slow


def test_drawn_digit_is_read_by_all_five(page):
    expect_sentence(page, IDLE)
    stroke(page, SEVEN)
    expect_answer(page, "7")
    expect(page.locator("#sentence")).to_contain_text("sure.")
    for card in page.locator("#networks li").all():
        expect(card.locator("b")).to_have_text(re.compile(r"^\d$"))
        expect(card.locator(".time")).to_have_text(re.compile(r"^\d+\.\d\sms$"))
        expect(card.locator(".bars")).to_have_attribute("aria-label", re.compile(r"^\d: \d+\.\d\s%, \d: "))
    assert page.locator("#seen img").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    expect(page.locator("#timing")).to_have_text(re.compile(r"^\d+ ms on cpu: decode .*, inference \d+\.\d$"))


def test_box_of_the_detector_lies_over_the_drawing(page):
    stroke(page, SEVEN)
    expect_answer(page, "7")
    pad, box = page.locator("#pad").bounding_box(), page.locator("#boxes rect").bounding_box()
    left, top = (box["x"] - pad["x"]) / pad["width"], (box["y"] - pad["y"]) / pad["height"]
    assert abs(left - 0.30) < 0.06 and abs(top - 0.19) < 0.06
    assert abs(left + box["width"] / pad["width"] - 0.64) < 0.06
    assert abs(top + box["height"] / pad["height"] - 0.87) < 0.06


def test_answer_comes_while_the_stroke_is_drawn(page):
    pad = page.locator("#pad").bounding_box()
    page.mouse.move(pad["x"] + pad["width"] / 2, pad["y"] + 50)
    page.mouse.down()
    page.mouse.move(pad["x"] + pad["width"] / 2, pad["y"] + 300, steps=10)
    expect(page.locator("#text")).to_have_text("1")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")  # nothing is read out yet
    page.mouse.up()
    expect_answer(page, "1")


def test_answer_to_a_stroke_is_there_within_100_ms(page):
    page.evaluate("""() => {
        window.delays = [];
        let lifted = null;
        const answer = document.getElementById("answer");
        addEventListener("pointerup", () => (lifted = performance.now()), true);
        new MutationObserver(() => {
            if (lifted === null || answer.getAttribute("aria-busy") === "true") return;
            delays.push(performance.now() - lifted);
            lifted = null;
        }).observe(answer, { attributes: true });
    }""")
    for number in range(8):
        stroke(page, [[(0.1 + number / 10, 0.2), (0.1 + number / 10, 0.8)]])
        expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    delays = page.evaluate("delays")
    assert len(delays) == 8
    assert sorted(delays)[4] < 100, delays  # the median: a machine may have other work


def test_finger_draws_and_the_page_stays_where_it_is(open_page):
    page = open_page(**PHONE)
    pad = page.locator("#pad").bounding_box()
    page.evaluate("""() => {
        window.ends = [];
        for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => ends.push(kind), true);
    }""")
    finger = page.context.new_cdp_session(page)  # from below to above: elsewhere this scrolls down
    for kind, y in [
        ("touchStart", 0.2),
        *(("touchMove", 0.2 + step / 20) for step in range(1, 13)),
        ("touchEnd", None),
    ]:
        points = [] if y is None else [{"x": pad["x"] + pad["width"] / 2, "y": pad["y"] + y * pad["height"]}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect_answer(page, "1")
    assert page.evaluate("[ends, scrollY]") == [["pointerup"], 0]  # cancelled where the browser scrolls instead


def test_undo_takes_the_last_stroke_or_image_back_and_clear_everything(page):
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
    page.click("#undo")
    expect_sentence(page, IDLE)


def test_drawing_goes_to_the_mode_that_is_chosen(page):
    """The answer of POST /read is made up here."""
    page.route("**/read", lambda route: route.fulfill(json=READ))
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.get_by_text("A whole number").first.click()
    expect_answer(page, "19\n4")
    page.get_by_text("One digit").click()
    expect_answer(page, "7")


def test_answer_that_comes_late_does_not_replace_a_newer_one(page):
    """The first question is held back, and answered by hand after the second."""
    held = []
    page.route("**/predict*", lambda route: route.continue_() if held else held.append(route))
    stroke(page, [[(0.52, 0.3)]])
    stroke(page, SEVEN)
    expect_answer(page, "7")
    with page.expect_response(lambda response: response.request == held[0].request):
        held[0].fulfill(json=REFUSED | {"digit": 3})
    page.evaluate("async () => { await fetch('models') }")  # time enough to show it
    expect_answer(page, "7")
