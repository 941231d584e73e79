"""How soon does the page show its answer after a stroke? In a real browser; with --picture, a picture of the page.

The clock runs from the pointer's release to a frame of the screen: "text" is the first frame with the final text,
"complete" the one after which nothing more is asked to find that text. Chromium runs without a window on the same
machine, so the browser and the service share the cores. A digit is one stroke; a number has one stroke for each of its
digits, and the last one is timed. The pointer moves once in 16 ms, as a mouse does.

    python -m benchmarks.page
    python -m benchmarks.page --picture docs/images/page.png
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from benchmarks.records import EXAMPLES, Record, hardware, parser, show
from benchmarks.servers import HOST, serving
from service import settings as environment
from training.records import table_of

Points = list[tuple[float, float]]  # of a stroke, x and y in shares of the sheet
Row = dict[str, Any]

SEVEN: Points = [(0.3, 0.2), (0.7, 0.2), (0.62, 0.45), (0.5, 0.85)]
ONE: Points = [(0.55, 0.15), (0.5, 0.85)]
STEP = 16.0  # ms from one place of the pointer to the next
STEPS = 10  # places on each straight part of a stroke
PAUSE = 600.0  # ms before the next drawing: nothing of the last one is under way then
DESK: ViewportSize = {"width": 1280, "height": 860}  # pixels
PATIENCE = 20_000.0  # ms

# In the page: since when the text stands that the answer ends with, and when nothing more is asked about the drawing.
STOPWATCH = """() => {
    const $ = (id) => document.getElementById(id);
    const body = document.body.dataset;
    let released = Infinity, shown = [];
    addEventListener("pointerup", (event) => {
        released = event.timeStamp;
        shown = [];
        delete body.text;
    }, true);
    new MutationObserver(() => requestAnimationFrame(() => shown.push([$("text").textContent, performance.now()])))
        .observe($("text"), { childList: true });
    new MutationObserver(() => requestAnimationFrame(() => {
        if ($("answer").getAttribute("aria-busy") !== "false") return;
        const stands = shown.findLastIndex(([text]) => text !== shown.at(-1)[0]) + 1;
        body.complete = shown.at(-1)[1] - released; // ms
        body.text = shown[stands][1] - released; // ms
    })).observe($("answer"), { attributeFilter: ["aria-busy"] });
}"""


@contextmanager
def chromium(address: str, **options: Any) -> Iterator[Page]:
    """The page of the service at `address`, ready to be drawn on."""
    with sync_playwright() as playwright:
        root = os.geteuid() == 0
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=not root)
        page = browser.new_page(base_url=address, locale="en-GB", viewport=DESK, **options)
        page.set_default_timeout(PATIENCE)
        page.goto("/")
        expect(page.locator("#networks li").first).to_be_visible(timeout=PATIENCE)
        yield page
        browser.close()


def draw(page: Page, points: Points) -> None:
    """One stroke by the mouse."""
    pad = page.locator("#pad").bounding_box()
    assert pad is not None
    places = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for start, end in zip(places, places[1:], strict=False):
        for share in np.arange(1, STEPS + 1) / STEPS:
            page.wait_for_timeout(STEP)
            page.mouse.move(*(start[axis] + share * (end[axis] - start[axis]) for axis in (0, 1)))
    page.mouse.up()


def number(digits: str) -> list[Points]:
    """The strokes of several digits beside each other."""
    width = 1 / len(digits)
    return [
        [((index + x) * width, 0.25 + y / 2) for x, y in {"1": ONE, "7": SEVEN}[digit]]
        for index, digit in enumerate(digits)
    ]


def timed(page: Page, strokes: Sequence[Points]) -> tuple[str, float, float]:
    """Draw on an empty sheet: what is read, and how many ms after the last stroke it stood there and was complete."""
    page.click("#clear")
    for points in strokes:
        draw(page, points)
        page.locator("body[data-text]").wait_for()
    seen = page.evaluate("[document.getElementById('text').textContent, document.body.dataset]")
    page.wait_for_timeout(PAUSE)
    return seen[0], float(seen[1]["text"]), float(seen[1]["complete"])


def stopwatch(page: Page, drawings: int) -> list[Row]:
    cases = {"7": [SEVEN], "17": number("17"), "171717": number("171717")}
    rows = []
    page.evaluate(STOPWATCH)
    draw(page, SEVEN)
    for wanted, strokes in cases.items():
        texts, *times = zip(*(timed(page, strokes) for _ in range(drawings)), strict=True)
        row: Row = {"drawn": wanted, "n": drawings, "right": texts.count(wanted)}
        for name, milliseconds in zip(("text", "complete"), times, strict=True):
            p50, p95 = np.percentile(milliseconds, [50, 95]).round(1).tolist()
            row |= {f"{name}_p50_ms": p50, f"{name}_p95_ms": p95}
        rows.append(row)
    return rows


def picture(page: Page, path: Path) -> None:
    """The page with an example on its sheet."""
    page.set_input_files("#file", EXAMPLES / "three.jpg")
    expect(page.locator("#strip")).to_be_visible(timeout=PATIENCE)
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=path, full_page=True)


def table(record: Record) -> str:
    """Milliseconds from the end of a stroke to the text, and to the complete answer."""
    rows, setting = [], record["setting"]
    for row in record["rows"]:
        times = [f"{row[f'{what}_{share}_ms']:.0f}" for what in ("text", "complete") for share in ("p50", "p95")]
        rows.append([row["drawn"], f"{row['right']} of {row['n']}", *times])
    head = ["drawn", "right", "text, median ms", "95 %", "complete, median ms", "95 %"]
    return f"{table_of(head, rows)}\n{setting['threads']} threads of {setting['hardware']}, which the browser shares."


TABLES = {"page": table}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--drawings", type=int, default=10, help="of each kind; default: 10")
    options.add_argument("--picture", type=Path, help="save a picture of the page there, and measure nothing")
    arguments = options.parse_args(argv)
    threads = environment.load().threads
    with serving(threads=threads) as (port, _, _), chromium(f"http://{HOST}:{port}") as page:
        if arguments.picture:
            picture(page, arguments.picture)
            return
        rows = stopwatch(page, arguments.drawings)
    show("page", {"setting": {"hardware": hardware(), "threads": threads}, "rows": rows}, table, arguments.record)


if __name__ == "__main__":
    main()
