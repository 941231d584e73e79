"""The results page: figures from results/*.json, and the test images behind them."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.conftest import REPOSITORY
from tests.page.conftest import DESK, HISTORY, PHONE

pytestmark = pytest.mark.slow
RESULTS = REPOSITORY / "results"


@pytest.fixture
def results(open_page):
    page = open_page("/results", **DESK)
    expect(page.locator("body[data-ready]")).to_be_visible()
    return page


def test_table_has_the_recorded_figures(results):
    measured = json.loads((RESULTS / "evaluation.json").read_text())
    rows = results.locator("#results section").first.locator("tbody tr")
    titles = rows.locator("th").all_inner_texts()
    assert titles[: len(HISTORY)] == HISTORY and titles[-1] == "Consensus" and len(titles) == len(measured)
    cells = rows.first.locator("td")
    expect(cells.first).to_contain_text(f"{measured['cnn']['test']['accuracy']:.2%} (".replace("%", "\u00a0%"))
    low, high = map(float, re.findall(r"[(–] ?(\d+[.]\d+)", cells.first.inner_text()))
    assert low < 100 * measured["cnn"]["test"]["accuracy"] < high < low + 0.3
    expect(cells.nth(1)).to_have_text("1.96 M parameters")
    expect(rows.last.locator("td").nth(5)).to_have_text(f"{measured['consensus']['test']['loss']:.4f}")


def test_other_peoples_digits_are_given_by_set(results):
    sets = json.loads((RESULTS / "evaluation.json").read_text())["consensus"]["sets"]
    row = results.get_by_role("row", name="UNIPEN, eight countries")
    expect(row).to_contain_text(f"{sets['unipen']['right']['share']:.2%}".replace("%", " %"))
    expect(row).to_contain_text(str(sets["unipen"]["right"]["n"]))
    expect(results.get_by_role("row", name="Omniglot, two unseen alphabets")).to_be_visible()


def test_plots_are_drawn(results):
    measured = json.loads((RESULTS / "evaluation.json").read_text())
    trained = {run["name"] for run in json.loads((RESULTS / "runs.json").read_text())}
    expect(results.locator("svg.plot")).to_have_count(1 + len(trained) + len(measured))  # latency, curves, calibration
    expect(results.locator("svg .released")).to_have_count(len(trained))


def test_development_set_is_complete_and_names_no_author(results):
    measured = json.loads((RESULTS / "evaluation.json").read_text())["consensus"]
    section = results.locator("section").filter(has_text="Development set").last
    numbers = measured["numbers"]
    lines = f"{round(numbers['lines_exact'] * numbers['lines'])} / {numbers['lines']}"
    expect(section.get_by_role("row", name="lines exactly right")).to_contain_text(lines)
    expect(section.get_by_role("row", name="digits refused")).to_contain_text("%")
    said = section.inner_text()
    authors = measured["images"]["right_by_writer"]
    assert not [name for name in authors if name in said]
    assert f"author {len(authors)}" in said


def test_slider_shows_which_images_were_right_at_each_epoch(open_page):
    """The runs are fakes; those of the released networks may be older than what is recorded now."""
    epochs = [
        {"epoch": n, "validation": {"mnist": {"accuracy": 0.9}}, "watched": "1" * n + "0" * (100 - n)} for n in (1, 2)
    ]
    about = {"seed": 0, "initial_weights": "random", "commit": "", "metrics": epochs}
    runs = [{"name": name} | about for name in ("cnn", "vit")]
    page = open_page("/docs", **DESK)
    page.route("**/runs.json", lambda route: route.fulfill(json=runs))
    page.goto("/results")
    captions = page.locator(".plots figcaption").filter(has_text="right")
    expect(captions).to_have_text(["CNN: 1 of 100 right", "Vision Transformer: 1 of 100 right"])
    page.get_by_label("Epoch").fill("2")
    expect(captions).to_have_text(["CNN: 2 of 100 right", "Vision Transformer: 2 of 100 right"])
    expect(page.locator(".watched").first.locator(".wrong")).to_have_count(98)


def test_runs_without_recorded_images_show_the_curves_alone(open_page):
    runs = [{"name": "cnn", "metrics": [{"epoch": 1, "validation": {"mnist": {"accuracy": 0.9}}}]}]
    page = open_page("/docs", **DESK)
    page.route("**/runs.json", lambda route: route.fulfill(json=runs))
    page.goto("/results")
    expect(page.get_by_text("recorded before each epoch kept which images it read right")).to_be_visible()


def test_cell_of_a_matrix_opens_the_images_behind_it(results):
    browse = json.loads((RESULTS / "browse.json").read_text())
    matrix = browse["models"]["consensus"]["confusion"]
    cells = ((label, digit, n) for label, row in enumerate(matrix) for digit, n in enumerate(row))
    wrong = {(label, digit): n for label, digit, n in cells if n and label != digit}
    expect(results.locator(".matrix button")).to_have_count(len(wrong))
    (label, digit), n = max(wrong.items(), key=lambda item: item[1])
    results.get_by_role("button", name=f"Label {label}, read as {digit}: {n}").click()
    images = results.locator(".behind li")
    expect(images).to_have_count(n)
    expect(images.first).to_contain_text(f"label {label}")
    expect(images.first).to_contain_text(f"Consensus {digit},")


def test_nothing_is_wider_than_a_phone(open_page):
    page = open_page("/results", **PHONE)
    expect(page.locator("body[data-ready]")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
