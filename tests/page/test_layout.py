"""Small windows, keyboard, languages, accessibility, and /docs."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import REPOSITORY
from tests.page.conftest import BAR, DESK, EXAMPLES, NETWORKS, PHONE, READ, expect_answer, stroke

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width, scheme", [(320, "light"), (768, "dark")])
def test_nothing_is_wider_than_the_window(open_page, width, scheme):
    """The answer of POST /read is a fake."""
    page = open_page(**PHONE | {"viewport": {"width": width, "height": 740}, "color_scheme": scheme})
    page.get_by_role("button", name="3 in pencil").tap()
    expect_answer(page, "3")
    page.route("**/read", lambda route: route.fulfill(json=READ | {"text": "12345678901234567890"}))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_role("button", name="1969 and 42").tap()
    expect_answer(page, "12345678901234567890")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    text = page.locator("#text")
    assert text.evaluate("text => text.scrollWidth <= text.clientWidth")


def test_answer_is_visible_on_a_phone_without_scrolling(open_page):
    page = open_page(**PHONE)
    page.get_by_role("button", name="7 in blue").tap()
    expect_answer(page, "7")
    picture, answer = page.locator("#picture").bounding_box(), page.locator("#text").bounding_box()
    assert 0 <= picture["y"] < answer["y"] < answer["y"] + answer["height"] <= 740


NAME = """() => {
    const { id, alt, textContent, firstElementChild } = document.activeElement;
    return id || firstElementChild?.alt || textContent.trim();
}"""


def test_everything_works_by_keyboard(page):
    page.get_by_role("button", name="5 in chalk").focus()
    page.keyboard.press("Enter")
    expect_answer(page, "5")
    expect(page.locator("#after")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    focused = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused.add(page.evaluate(NAME))
    wanted = {"Results", "HTTP interface", *"pad undo clear file right Keep curl Python JavaScript tab-answer".split()}
    assert wanted | {"A 5 in chalk on a board", "How it works", "History of this tab"} <= focused
    with page.expect_file_chooser():
        page.locator("#file").focus()
        page.keyboard.press("Enter")


def test_targets_are_44_pixels_on_touch(open_page):
    page = open_page(**PHONE)
    page.get_by_role("button", name="1969 and 42").tap()
    expect_answer(page, "1969\n42")
    small = page.evaluate("""() => [...document.querySelectorAll("button, label, summary, nav a, footer a, #right")]
        .filter((target) => target.offsetHeight && !target.matches("form label"))
        .filter((target) => target.getBoundingClientRect().height < 43.9)
        .map((target) => target.outerHTML)""")
    assert small == []


def test_answer_is_beside_the_sheet_on_a_phone_in_landscape(open_page):
    page = open_page(**PHONE | {"viewport": {"width": 844, "height": 390}})
    page.get_by_role("button", name="7 in blue").tap()
    expect_answer(page, "7")
    page.evaluate("scrollTo(0, 0)")
    sheet, answer = page.locator("#sheet").bounding_box(), page.locator("#text").bounding_box()
    assert sheet["y"] + sheet["height"] < 390
    assert answer["x"] > sheet["x"] + sheet["width"]
    assert answer["y"] + answer["height"] < 390
    for button in page.locator(".tools button:visible, .tools label:visible, #votes button").all():
        box = button.bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 390


def test_first_view_shows_five_votes_on_an_example_that_a_stroke_replaces(open_page):
    page = open_page(**PHONE)
    expect(page.locator("#votes b")).to_have_text(["7"] * NETWORKS)
    row = page.locator("#votes").bounding_box()
    assert row["y"] + row["height"] <= 740
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("#votes")).to_be_in_viewport()
    page.evaluate("scrollTo(0, 0)")
    stroke(page, BAR)
    expect_answer(page, "1")
    expect(page.locator("#picture")).to_be_hidden()


def test_projector_uses_its_width_and_a_key_makes_the_text_large(open_page):
    page = open_page(**DESK | {"viewport": {"width": 1920, "height": 1080}})
    expect_answer(page, "7")
    assert page.locator("main").bounding_box()["width"] > 1700
    size = "() => parseFloat(getComputedStyle(document.querySelector('#sentence')).fontSize)"
    before = page.evaluate(size)
    page.keyboard.press("t")
    assert page.evaluate(size) > 1.2 * before
    assert page.evaluate("document.documentElement.scrollWidth") == 1920


@pytest.mark.parametrize("locale, says", [("de-DE", "Alle {} Netze sind sich einig"), ("xh", "All {} networks agree")])
def test_page_speaks_german_and_to_others_english(open_page, locale, says):
    page = open_page(**DESK | {"locale": locale})
    expect(page.locator("#answer[aria-busy=false] #sentence")).to_contain_text(says.format(NETWORKS))


LANGUAGES = REPOSITORY / "service" / "page" / "languages"


def test_every_language_has_every_word():
    words = {path.stem: json.loads(path.read_text()) for path in LANGUAGES.glob("*.json")}
    assert {"de", "en"} <= set(words)
    for other in words.values():
        assert set(other) == set(words["en"])
        for key, text in other.items():
            assert set(re.findall(r"{\w+}", str(text).lower())) == set(
                re.findall(r"{\w+}", str(words["en"][key]).lower())
            )


def test_another_language_is_one_file(open_page):
    """The language is a fake: each word of the English file in brackets. What stands without brackets is in no file."""
    english = json.loads((LANGUAGES / "en.json").read_text())
    pseudo = {key: text if isinstance(text, list) else f"[{text}]" for key, text in english.items()}
    page = open_page("/docs", **DESK | {"locale": "xh"})
    page.route("**/languages/xh.json", lambda route: route.fulfill(json=pseudo))
    page.goto("/")
    expect(page.locator("#sentence")).to_have_text("[A 7. All 5 networks agree.]")
    page.locator("#tab-inside").click()
    expect(page.locator("#inside .kernels")).to_be_visible()
    bare = page.evaluate("""() => {
        const PLACES = "p, button, label, h2, a, span, figcaption, summary, th";
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const found = [];
        while (walker.nextNode()) {
            const { data, parentElement } = walker.currentNode;
            const whole = parentElement.closest(PLACES)?.textContent ?? data;
            const hidden = parentElement.closest("noscript, script");
            if (/[a-z]{3}/i.test(data) && !whole.includes("[") && !hidden) found.push(data.trim());
        }
        return found;
    }""")
    names = {"Quintet", "curl", "Python", "JavaScript", "CSV", "JSON", "Faster R-CNN"}
    assert set(bare) - names - {"AlexNet", "VGG16", "R-CNN", "CNN", "ViT", "Vision Transformer"} == set()


def test_first_view_is_small(open_page):
    page = open_page("/docs")
    page.wait_for_load_state("networkidle")  # or the description of the interface is counted
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto("/")
    expect_answer(page, "7")
    assert sum(sizes) < 100_000, sizes


def findings(page):
    """What axe-core finds, as rules and the elements that break them."""
    violations = Axe().run(page).response["violations"]
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations]


@pytest.mark.parametrize("form, scheme", [(DESK, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_axe_finds_nothing(open_page, form, scheme):
    page = open_page(**form | {"color_scheme": scheme})
    expect_answer(page, "7")  # while the example is being read, the sentence is pale
    assert findings(page) == []
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1969\n42")
    assert findings(page) == []
    page.get_by_role("button", name="A star").click()
    expect_answer(page, "No digit?")
    page.locator("#tab-inside").click()
    page.locator("#inside").get_by_role("button", name="Vision Transformer").click()
    expect(page.locator("#inside .attention canvas")).to_be_visible()
    assert findings(page) == []
    page.locator("#tab-covered").click()
    expect(page.locator("#networks canvas").first).to_be_visible()
    page.locator("#history summary").click()
    page.locator("#networks summary").first.click()
    assert findings(page) == []
    page.set_input_files("#file", [EXAMPLES / "seven.png", EXAMPLES / "star.png"])
    expect(page.locator("#tiles b")).to_have_text(["No digit?", "7"])
    assert findings(page) == []
    page.set_input_files("#file", REPOSITORY / "README.md")
    expect(page.locator("[data-kind=error]")).to_be_visible()
    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_results(open_page, scheme):
    page = open_page("/results", **DESK | {"color_scheme": scheme})
    expect(page.locator("body[data-ready]")).to_be_visible()
    page.locator(".matrix button").first.click()
    expect(page.locator(".behind li").first).to_be_visible()
    assert findings(page) == []


MOVING = """() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element))
    .filter((style) => style.animationName !== "none" || style.transitionDuration !== "0s").length"""


def test_nothing_moves_if_the_user_prefers_reduced_motion(open_page):
    page = open_page(**DESK | {"reduced_motion": "reduce"})
    expect(page.locator("#networks li")).to_have_count(NETWORKS)
    assert page.evaluate(MOVING) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(MOVING) > 0


def test_docs_need_no_other_host_and_can_send_requests(open_page):
    page = open_page("/docs", **DESK)
    expect(page.locator(".opblock")).to_have_count(len(operations(page)))
    page.locator('.opblock-summary-path[data-path="/models"]').click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")


def operations(page):
    description = page.evaluate("async () => (await fetch('openapi.json')).json()")
    return [method for path in description["paths"].values() for method in path]
