"""Files, drops, pastes, examples, and whole numbers."""

import csv
import io
import json
import re
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Download, expect

from tests.conftest import REPOSITORY, draw, encode
from tests.page.conftest import EXAMPLES, HOST, READ, SEVEN, expect_answer, expect_sentence, stroke
from training.measure.folder import labelled

pytestmark = pytest.mark.slow


def test_uploaded_file_is_shown_and_read(page):
    page.set_input_files("#file", EXAMPLES / "seven.png")
    expect_answer(page, "7")
    expect(page.locator("#picture")).to_be_visible()
    expect(page.locator("#boxes text")).to_have_text("Faster R-CNN")


def test_examples_are_chosen_or_dragged_onto_the_sheet(page):
    for alt, digit in [("3 in pencil", "3"), ("7 in blue", "7"), ("2 in red", "2"), ("1969 and 42", "1969\n42")]:
        page.get_by_role("button", name=alt).click()
        expect_answer(page, digit)
    expect(page.locator("#boxes text")).to_have_text(list("196942"))
    page.get_by_role("button", name="5 in chalk").drag_to(page.locator("#pad"))
    expect_answer(page, "5")


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


def test_number_is_read_with_a_box_for_each_digit(page):
    """The answer of POST /read is a fake. Certain digits have no percentage, and doubtful ones are tinted."""
    page.route("**/read", lambda route: route.fulfill(json=READ))
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "19\n4")
    expect_sentence(
        page, "3 digits. 1 is doubtful. 1 mark left out: probably no digit. Choose a digit to see each network's vote."
    )
    expect(page.locator("#boxes text")).to_have_text(["1", "9", "4", "8?"])
    expect(page.locator("#digits li")).to_have_text(["1", "9", "490 %", "841 %"])
    expect(page.locator("#digits ol")).to_have_count(2)
    expect(page.locator("#text .doubtful")).to_have_text("4")
    page.locator("#digits button").nth(1).hover()
    expect(page.locator("#boxes g").nth(1)).to_have_class("lit")
    picture = page.locator("#picture").bounding_box()
    last = page.locator("#boxes rect").nth(3).bounding_box()
    shown = picture["height"] * 560 / 360  # the image is as high as the sheet allows
    left = last["x"] - picture["x"] - max(0, picture["width"] - shown) / 2
    assert left / min(shown, picture["width"]) == pytest.approx(400 / 560, abs=0.02)


def test_signs_are_told_and_what_is_left_out_is_shown(page):
    """The answer of POST /read is a fake."""
    signs = [
        {"mark": "9", "confidence": 0.9876, "accepted": True, "box": [150, 40, 240, 175], "line": 0},
        {"mark": "/", "confidence": 0.97, "accepted": True, "box": [125, 40, 145, 175], "line": 0},
        {"mark": "other", "confidence": 0.6, "accepted": False, "box": [300, 40, 380, 175], "line": 0},
    ]
    answer = READ | {"text": "1 9\n4", "transcript": "1/9?\n4", "marks": signs, "digits": READ["digits"][:3]}
    page.route("**/read", lambda route: route.fulfill(json=answer))
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1 9\n4")
    expect(page.locator("#sentence")).to_contain_text("1 mark left out: probably no digit. With its signs: 1/9? | 4.")
    expect(page.locator("#boxes text")).to_have_text(["1", "9", "4", "/", "?"])
    expect(page.locator("#boxes .left-out text")).to_have_text(["?"])
    expect(page.locator("#text .doubtful")).to_have_text("4")


def test_many_files_become_a_gallery_with_the_doubtful_first(page):
    files = [EXAMPLES / name for name in ("seven.png", "star.png", "number.jpg")]
    page.set_input_files("#file", files)
    expect(page.locator("#tiles li b")).to_have_text(["No digit?", "1969\n42", "7"])
    page.uncheck("#doubtful-first")
    expect(page.locator("#tiles li b")).to_have_text(["7", "No digit?", "1969\n42"])
    page.locator("#tiles button").first.click()
    expect_answer(page, "7")


def test_corrections_are_downloaded_as_files_that_the_evaluation_takes(page, tmp_path):
    page.get_by_role("button", name="A star").click()
    expect(page.locator("#after")).to_be_visible()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="5 in chalk").click()
    expect_answer(page, "5")
    page.fill("#right", "5")
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1969\n42")
    page.fill("#right", "1969 42")
    page.get_by_role("button", name="Keep").click()
    downloads: list[Download] = []
    page.on("download", lambda download: downloads.append(download))  # Playwright takes no built-in method
    with page.expect_event("download", lambda _: len(downloads) == 4):
        page.get_by_role("button", name="Download 3 corrections").click()
    for download in downloads:
        download.save_as(tmp_path / download.suggested_filename)
    assert sorted(one.truth for one in labelled(tmp_path)) == ["", "1969\n42", "5"]
    assert all(one.path.is_file() for one in labelled(tmp_path))
    with open(tmp_path / "index.csv", newline="") as lines:
        assert [row["truth"] for row in csv.DictReader(lines)] == ["", "5", "1969|42"]


def test_corrections_are_written_into_a_chosen_folder(page):
    """The folder is a fake: a page of another host than localhost is not offered one."""
    page.evaluate("""() => {
        window.written = [];
        const file = { createWritable: async () => ({ write: async () => {}, close: async () => {} }) };
        window.showDirectoryPicker = async () => ({ getFileHandle: async (name) => (written.push(name), file) });
    }""")
    page.get_by_role("button", name="5 in chalk").click()
    expect_answer(page, "5")
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Download 1 correction").click()
    page.wait_for_function("written.length === 2")
    assert page.evaluate("written") == ["index.csv", "001.png"]


def test_history_is_downloaded_as_csv_and_json(page):
    page.get_by_role("button", name="1969 and 42").click()
    expect_answer(page, "1969\n42")
    page.locator("#history summary").click()
    with page.expect_download() as download:
        page.locator("#history [data-kind=csv]").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [(row["read"], row["route"]) for row in rows] == [("1969\n42", "/read")]
    with page.expect_download() as download:
        page.locator("#history [data-kind=json]").click()
    assert json.loads(download.value.path().read_text())[0]["accepted"] is True


def test_copied_curl_asks_about_the_image_on_the_sheet(page):
    page.evaluate(
        "() => { document.execCommand = () => { window.copied = document.activeElement.value; return true; }; }"
    )
    stroke(page, SEVEN)
    expect_answer(page, "7")
    page.locator("#copy [data-kind=curl]").click()
    expect(page.locator("#copied")).to_have_text("Copied.")
    command = page.evaluate("copied").replace(HOST, "127.0.0.1")
    said = subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout
    assert json.loads(said)["digit"] == 7
    page.locator("#copy [data-kind=python]").click()
    expect(page.locator("#copied")).to_have_attribute("data-kind", "python")
    compile(page.evaluate("copied"), "copied", "exec")


def test_thumbnails_show_their_examples():
    """They were made by Pillow: ImageOps.exif_transpose, thumbnail((400, 88)), WebP of quality 80."""
    for path in (REPOSITORY / "service/page/thumbnails").iterdir():
        (source,) = EXAMPLES.glob(f"{path.stem}.*")
        example, thumbnail = ImageOps.exif_transpose(Image.open(source)), Image.open(path)
        example.thumbnail((400, 88))
        assert thumbnail.size == example.size
        white = Image.new("RGBA", thumbnail.size, "white")
        seen = [np.asarray(Image.alpha_composite(white, one.convert("RGBA")), int) for one in (thumbnail, example)]
        assert np.abs(seen[0] - seen[1]).mean() < 6
