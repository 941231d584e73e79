"""Small windows, the keyboard, and /docs."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import DESK, PHONE, READ, expect_answer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("width, scheme", [(320, "light"), (360, "dark"), (768, "light")])
def test_nothing_is_wider_than_the_window(open_page, width, scheme):
    """The answer of POST /read is made up here."""
    page = open_page(**PHONE | {"viewport": {"width": width, "height": 740}, "color_scheme": scheme})
    page.route("**/read", lambda route: route.fulfill(json=READ | {"text": "12345678901234567890"}))
    page.get_by_role("button", name="3 in pencil").tap()
    expect_answer(page, "3")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_role("button", name="1969 and 42").tap()
    expect_answer(page, "12345678901234567890")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    text = page.locator("#text")
    assert text.evaluate("text => text.scrollWidth <= text.clientWidth")


def test_answer_is_in_sight_on_a_phone(open_page):
    page = open_page(**PHONE)
    page.get_by_role("button", name="7 in blue").tap()
    expect_answer(page, "7")
    picture, answer = page.locator("#picture").bounding_box(), page.locator("#text").bounding_box()
    assert 0 <= picture["y"] < answer["y"] < answer["y"] + answer["height"] <= 740


def test_everything_but_drawing_works_by_keyboard(page):
    focused = []
    for _ in range(12):
        page.keyboard.press("Tab")
        focused.append(
            page.evaluate("""() => {
            const { id, value, alt, textContent, firstElementChild } = document.activeElement;
            return id || firstElementChild?.alt || value || textContent;
        }""")
        )
    assert focused == [
        "digit",
        "undo",
        "clear",
        "file",
        "A crossed 7 in blue ink",
        "A 3 in pencil, half in shadow",
        "A 5 in chalk on a board",
        "A 2 in red on a transparent background",
        "A star, which is no digit",
        "1969 and 42 on two lines, in ballpoint",
        "HTTP interface",
        "The networks, as they describe themselves",
    ]
    page.get_by_role("button", name="5 in chalk").focus()
    page.keyboard.press("Enter")
    expect_answer(page, "5")
    with page.expect_file_chooser():
        page.locator("#file").focus()
        page.keyboard.press("Enter")


def test_docs_need_no_other_host_and_can_be_tried(open_page):
    page = open_page("/docs", **DESK)
    expect(page.locator(".opblock")).to_have_count(len(operations(page)))
    page.locator(".opblock-summary-path", has_text="/models").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table .response-col_status").nth(1)).to_contain_text("200")


def operations(page):
    description = page.evaluate("async () => (await fetch('openapi.json')).json()")
    return [method for path in description["paths"].values() for method in path]
