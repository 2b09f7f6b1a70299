"""The page in a browser: load, draw, track, correct, download; and what goes wrong."""

from __future__ import annotations

import contextlib
import csv
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("av")
pytest.importorskip("fastapi")
pytest.importorskip("playwright")
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_web import matcher
from videos import disc_video, packet_count
from waiting import PATIENCE, wait_until

from d3s_vot.regions import Box
from d3s_vot.web.command import listen
from d3s_vot.web.server import create_app

CHROMIUM = shutil.which("chromium")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
COUNT = 30
expect.set_options(timeout=1000 * PATIENCE)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    return disc_video(tmp_path_factory.mktemp("disc") / "disc.mp4", COUNT)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, "--no-first-run"])
        yield browser
        browser.close()


@contextlib.contextmanager
def served(turn: Callable[[], object] = lambda: None, names: tuple[str, ...] = ("D3S",)) -> Iterator[str]:
    """A server in this process, with trackers of these names; its address."""
    with listen("127.0.0.1", 0) as listener:
        app = create_app({name: matcher(turn) for name in names}, limit=1)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def gate() -> threading.Event:
    """Whether the tracker of the page may go on."""
    gate = threading.Event()
    gate.set()
    return gate


@pytest.fixture
def page(browser: Browser, gate: threading.Event) -> Iterator[Page]:
    """An empty page at a server of its own; scripts must not fail and nothing may come from elsewhere."""
    with served(gate.wait) as address, contextlib.ExitStack() as stack:
        stack.callback(gate.set)  # so that the server can end whatever the test did
        context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        mishaps: list[str] = []
        page.on("pageerror", lambda error: mishaps.append(str(error)))
        page.on("request", lambda request: request.url.startswith(address) or mishaps.append(request.url))
        page.goto(address)
        yield page
        context.close()
    assert [url for url in mishaps if not url.startswith(("data:", "blob:"))] == []


def at_frame(page: Page, index: int) -> None:
    """Wait until a frame is shown."""
    expect(page.locator("#where")).to_contain_text(f"Frame {index} /")


def load(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_contain_text("Draw a box")
    at_frame(page, 0)


def drag(page: Page, box: Box, size: tuple[int, int] = (160, 120)) -> None:
    """Draw a box, given in pixels of the video."""
    area = page.locator("#canvas").bounding_box()
    scale = area["width"] / size[0]
    page.mouse.move(area["x"] + box.x * scale, area["y"] + box.y * scale)
    page.mouse.down()
    page.mouse.move(area["x"] + (box.x + box.w / 2) * scale, area["y"] + (box.y + box.h / 2) * scale)
    page.mouse.move(area["x"] + (box.x + box.w) * scale, area["y"] + (box.y + box.h) * scale)
    page.mouse.up()


def to_frame(page: Page, index: int) -> None:
    page.evaluate(
        "k => { const s = document.getElementById('slider'); s.value = k; s.dispatchEvent(new Event('input')); }", index
    )
    at_frame(page, index)


def done(page: Page) -> None:
    expect(page.locator("#status")).to_contain_text("Done")


def share_of(page: Page, colour: tuple[int, int, int]) -> float:
    """How much of the picture has about this colour."""
    count = """colour => {
        const canvas = document.getElementById('canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let found = 0;
        for (let k = 0; k < data.length; k += 4) found += colour.every((c, i) => Math.abs(c - data[k + i]) < 24);
        return 4 * found / data.length;
    }"""
    return page.evaluate(count, list(colour))


def test_load_draw_track_correct_download(
    page: Page, gate: threading.Event, disc: tuple[Path, list[Box]], tmp_path: Path
) -> None:
    path, boxes = disc
    gate.clear()
    expect(page.locator("h1")).to_contain_text("Draw a target once")
    page.screenshot(path=tmp_path / "1-empty.png")

    load(page, path)
    expect(page.locator("#name")).to_have_text("disc.mp4")
    expect(page.locator("#facts")).to_contain_text("120 pixels, 30 frames, 25 frames/s")
    expect(page.locator("#status")).to_have_text("Draw a box round the target, on any frame.")
    expect(page.locator("#download-masks")).to_be_disabled()

    drag(page, boxes[0])
    expect(page.locator("#accept")).to_have_text("Track target 1")
    page.screenshot(path=tmp_path / "2-drawn.png")
    page.click("#accept")
    expect(page.locator("#status")).to_contain_text("Tracking")
    page.screenshot(path=tmp_path / "3-tracking.png")
    gate.set()
    done(page)
    at_frame(page, 29)  # it followed
    assert share_of(page, (238, 51, 119)) > 0.002
    page.screenshot(path=tmp_path / "4-done.png")

    to_frame(page, 12)
    drag(page, Box(boxes[12].x, boxes[12].y + 8, 31, 31))
    expect(page.locator("#accept")).to_have_text("Correct target 1 from frame 12")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm", state="hidden")
    done(page)
    page.click("#add")
    to_frame(page, 5)
    page.click("#tool-polygon")
    area = page.locator("#canvas").bounding_box()
    scale = area["width"] / 160
    x, y = boxes[5].center
    for dx, dy in ((-15, 0), (0, -15), (15, 0), (0, 15), (-15, 0)):
        page.mouse.click(area["x"] + (x + dx) * scale, area["y"] + (y + dy) * scale)
    expect(page.locator("#accept")).to_have_text("Track target 2 from frame 5")
    page.screenshot(path=tmp_path / "5-polygon.png")
    page.click("#accept")
    expect(page.locator("#targets li >> nth=1")).to_contain_text("done")  # the row was there before
    done(page)
    to_frame(page, 20)
    page.screenshot(path=tmp_path / "6-two.png")

    files = {}
    for kind in ("boxes", "masks", "overlay"):
        with page.expect_download() as waiting:
            page.click(f"#download-{kind}")
        files[kind] = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(files[kind])
    assert files["overlay"].name == "disc-overlay.mp4" and packet_count(files["overlay"]) == COUNT
    assert len(zipfile.ZipFile(files["masks"]).namelist()) == COUNT
    rows = list(csv.DictReader(files["boxes"].open()))
    assert len(rows) == COUNT + COUNT - 5
    tops = [float(row["y"]) for row in rows if row["target"] == "1"]
    assert abs(tops[11] - boxes[11].y) < 2 and abs(tops[12] - boxes[12].y - 8) < 2

    page.set_viewport_size({"width": 400, "height": 900})
    page.screenshot(path=tmp_path / "7-narrow.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.screenshot(path=tmp_path / "8-dark.png")
    assert page.locator("#banner").is_hidden()


def test_an_answer_that_comes_late_does_not_overwrite_a_newer_one(page: Page, disc: tuple[Path, list[Box]]) -> None:
    load(page, disc[0])
    page.evaluate("""() => new Promise((kept) => {  // the next answer about the results waits until it is let go
        const ask = window.fetch;
        window.fetch = async (address, ...more) => {
            const answer = await ask(address, ...more);
            if (!window.letGo && String(address).includes("/api/results")) {
                await new Promise((letGo) => { window.letGo = letGo; kept(); });
            }
            return answer;
        };
    })""")
    drag(page, disc[1][0])
    page.click("#accept")
    done(page)
    shown = page.evaluate("""async () => {
        const shown = [], status = document.getElementById("status");
        new MutationObserver(() => shown.push(status.textContent)).observe(status, { childList: true });
        window.letGo();
        await new Promise((over) => setTimeout(over, 500));
        return shown;
    }""")
    assert all(text.startswith("Done") for text in shown), shown


def test_keys_and_another_tab(page: Page, disc: tuple[Path, list[Box]]) -> None:
    load(page, disc[0])
    for key, text in (("ArrowRight", "Frame 1 "), ("Shift+ArrowRight", "Frame 11 "), ("ArrowLeft", "Frame 10 "),
                      ("End", "Frame 29 "), ("Home", "Frame 0 ")):  # fmt: skip
        page.keyboard.press(key)
        expect(page.locator("#where")).to_contain_text(text)
    page.keyboard.press("Space")
    expect(page.locator("#where")).to_contain_text("Frame 29")  # played to the end
    drag(page, disc[1][29])
    expect(page.locator("#confirm")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_be_hidden()
    to_frame(page, 0)
    drag(page, disc[1][0])
    page.keyboard.press("Enter")
    other = page.context.new_page()
    other.goto(page.url)
    done(other)
    expect(other.locator("#targets li")).to_have_count(1)
    other.click("[aria-label='Remove target 1']")
    expect(page.locator("#targets .dot + span, #targets .soft")).to_have_text("not drawn yet")
    other.click("#close")
    other.click("dialog [value=yes]")
    expect(other.locator("h1")).to_be_visible()
    expect(page.locator("h1")).to_be_visible()


def test_what_goes_wrong_is_told(page: Page, disc: tuple[Path, list[Box]], tmp_path: Path) -> None:
    banner = page.locator("#banner-text")
    for name, content, text in (
        ("empty.mp4", b"", "empty.mp4 is empty (0 bytes); copy or record it again."),
        ("<img src=x onerror=alert(1)>.mp4", b"text" * 99, "<img src=x onerror=alert(1)>.mp4 is not a video"),
        ("long.mp4", bytes(2**20 + 1), "long.mp4 is larger than 1 MiB; start d3s-vot web with a --limit above."),
    ):
        page.set_input_files("#file", {"name": name, "mimeType": "video/mp4", "buffer": content})
        expect(banner).to_contain_text(text)
    page.screenshot(path=tmp_path / "error.png")
    load(page, disc[0])
    expect(banner).to_be_hidden()
    drag(page, Box(5, 5, 3, 3))
    page.click("#accept")
    expect(banner).to_have_text("Target 1 cannot be tracked from frame 0 on: the target is too small.")

    # A second video takes the place of the first only when that is wanted.
    page.set_input_files("#file", disc[0])
    expect(page.locator("#dialog-text")).to_contain_text("Open disc.mp4 instead of disc.mp4?")
    page.screenshot(path=tmp_path / "second.png")
    page.click("dialog [value=no]")
    assert page.evaluate(
        "async () => (await (await fetch('/api/video', {method: 'POST', body: 'x'})).json()).error"
    ) == "disc.mp4 is open; close it before you open another video"


def test_the_server_goes_away(browser: Browser, disc: tuple[Path, list[Box]]) -> None:
    with served() as address:
        page = browser.new_page()
        page.goto(address)
        load(page, disc[0])
    expect(page.locator("#banner-text")).to_contain_text("The server does not answer; start d3s-vot web again")
    page.close()


def test_two_trackers_side_by_side(browser: Browser, disc: tuple[Path, list[Box]], tmp_path: Path) -> None:
    path, boxes = disc
    with served(names=("D3S", "ECO-lite0")) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        load(page, path)
        expect(page.locator("#tracker option")).to_have_text(["D3S", "ECO-lite0", "all, side by side"])
        page.locator("#tracker").focus()
        page.keyboard.press("End")  # by the keyboard, and the frame stays
        at_frame(page, 0)
        drag(page, boxes[0])
        expect(page.locator("#accept")).to_have_text("Track target 1 with 2 trackers")
        page.screenshot(path=tmp_path / "drawn.png")
        page.click("#accept")
        done(page)
        expect(page.locator("#targets li")).to_have_count(2)
        expect(page.locator("#targets .pick >> nth=0")).to_contain_text("D3S")
        expect(page.locator("#targets .pick >> nth=1")).to_contain_text("ECO-lite0")
        expect(page.locator("#by")).to_be_hidden()  # a target that is corrected keeps its tracker
        assert share_of(page, (51, 187, 238)) > 0.001  # the second one's, over the same outline of the first
        page.screenshot(path=tmp_path / "both.png")
        page.click("#add")
        page.select_option("#tracker", "ECO-lite0")
        to_frame(page, 5)
        drag(page, boxes[5])
        page.click("#accept")
        expect(page.locator("#targets .pick >> nth=2")).to_contain_text("ECO-lite0")
        done(page)
        page.close()
