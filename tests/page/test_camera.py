"""The camera. Chromium plays a file in place of one; there is a camera only over https or, as here, from localhost."""

from io import BytesIO

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.conftest import draw
from tests.page.conftest import DESK, NETWORKS, PATIENCE, expect_answer

pytestmark = pytest.mark.slow


@pytest.fixture
def film(tmp_path):
    """A 7 on white as Motion JPEG: JPEG files one after another."""
    file = BytesIO()
    Image.fromarray(draw("7", size=(480, 640), scale=10.0, thickness=24)).convert("RGB").save(file, "JPEG")
    path = tmp_path / "seven.mjpeg"
    path.write_bytes(file.getvalue() * 10)
    return path


@pytest.fixture
def open_page_with_camera(launch, address):
    browsers = []

    def open_page_with_camera(*arguments):
        browser = launch(args=["--use-fake-device-for-media-stream=fps=5", *arguments])
        browsers.append(browser)
        page = browser.new_page(base_url=address, **DESK)
        page.set_default_timeout(PATIENCE)
        page.goto("/")
        expect(page.locator("#networks li")).to_have_count(NETWORKS)
        page.get_by_role("button", name="Camera").click()
        return page

    yield open_page_with_camera
    for browser in browsers:
        browser.close()


def test_camera_shows_what_is_read_and_its_picture_goes_on_the_sheet(open_page_with_camera, film):
    page = open_page_with_camera("--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    expect(page.locator("#finder output")).to_have_text("7")
    expect(page.locator("#finder rect")).to_have_count(1)
    # In one step, since each answer draws the box anew.
    middle = page.evaluate("""() => {
        const find = (name) => document.querySelector(`#finder ${name}`).getBoundingClientRect();
        const [video, box] = [find("video"), find("rect")];
        return (box.x + box.width / 2 - video.x) / video.width;
    }""")
    assert abs(middle - 0.5) < 0.05
    page.get_by_role("button", name="Read this picture").click()
    expect(page.locator("#finder")).to_be_hidden()
    expect_answer(page, "7")
    assert page.locator("#finder video").evaluate("video => video.srcObject.active") is False  # the camera is off


def test_refused_camera_gets_a_sentence(open_page_with_camera):
    page = open_page_with_camera("--deny-permission-prompts")
    expect(page.locator("#finder output")).to_contain_text("The camera cannot be used: ")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#finder")).to_be_hidden()
