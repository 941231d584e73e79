"""Small windows, keyboard, languages, accessibility, and /docs."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.conftest import REPOSITORY
from tests.page.conftest import DESK, EXAMPLES, IDLE, NETWORKS, PHONE, READ, expect_answer, expect_sentence

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width, scheme", [(320, "light"), (360, "dark"), (768, "light")])
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


def test_everything_works_by_keyboard(page):
    page.get_by_role("button", name="5 in chalk").focus()
    page.keyboard.press("Enter")
    expect_answer(page, "5")
    expect(page.locator("#after")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    focused = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        focused.add(
            page.evaluate("""() => {
            const { id, alt, textContent, firstElementChild } = document.activeElement;
            return id || firstElementChild?.alt || textContent.trim();
        }""")
        )
    wanted = {
        "Results",
        "HTTP interface",
        "pad",
        "undo",
        "clear",
        "file",
        "right",
        "Keep",
        "curl",
        "Python",
        "JavaScript",
    }
    assert wanted | {"A 5 in chalk on a board", "look", "How it works", "History of this tab"} <= focused
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


def test_page_speaks_german(open_page):
    page = open_page(**DESK | {"locale": "de-DE"})
    page.get_by_role("button", name="7 in blue").click()
    expect_answer(page, "7")
    expect_sentence(page, f"Eine 7. Alle {NETWORKS} Netze sind sich einig.")
    assert page.evaluate("document.documentElement.lang") == "de"


def test_unknown_language_gets_english(open_page):
    page = open_page(**DESK | {"locale": "xh"})
    expect_sentence(page, IDLE)


def test_every_language_has_every_word():
    files = sorted((REPOSITORY / "service" / "page" / "languages").glob("*.json"))
    words = [json.loads(path.read_text()) for path in files]
    assert [path.stem for path in files] == ["de", "en"]
    for other in words[1:]:
        assert set(other) == set(words[0])
        for key, text in other.items():
            assert set(re.findall(r"{\w+}", str(text).lower())) == set(re.findall(r"{\w+}", str(words[0][key]).lower()))


def test_first_view_is_small(open_page):
    page = open_page("/docs")
    sizes = []
    page.on("response", lambda response: sizes.append(len(response.body())))
    page.goto("/")
    expect_sentence(page, IDLE)
    assert sum(sizes) < 100_000, sizes


def findings(page):
    """What axe-core finds, as rules and the elements that break them."""
    violations = Axe().run(page).response["violations"]
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in violations]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("form", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(open_page, form, scheme):
    page = open_page(**form | {"color_scheme": scheme})
    expect(page.locator("#networks li")).to_have_count(NETWORKS)
    assert findings(page) == []
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1969\n42")
    assert findings(page) == []
    page.get_by_role("button", name="A star").click()
    expect_answer(page, "No digit?")
    page.locator("#look").click()
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


def test_axe_finds_nothing_in_docs_except_in_swagger_ui(open_page):
    page = open_page("/docs", **DESK | {"color_scheme": "light"})
    expect(page.locator(".opblock").first).to_be_visible()
    assert {rule for rule, _ in findings(page)} <= {"heading-order", "nested-interactive", "region"}


def test_docs_need_no_other_host_and_can_send_requests(open_page):
    page = open_page("/docs", **DESK)
    expect(page.locator(".opblock")).to_have_count(len(operations(page)))
    page.locator('.opblock-summary-path[data-path="/models"]').click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")


def operations(page):
    description = page.evaluate("async () => (await fetch('openapi.json')).json()")
    return [method for path in description["paths"].values() for method in path]
