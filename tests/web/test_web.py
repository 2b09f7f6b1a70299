"""The server behind the page, through its addresses; the tracker is a stand-in."""

from __future__ import annotations

import csv
import io
import re
import stat
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("fastapi")
pytest.importorskip("httpx")
from fastapi.testclient import TestClient
from matching import Matching
from scenes import scene
from simple import simple
from videos import damage, disc_video, packet_count, read, small_frames, write_video
from waiting import PATIENCE, wait_until

from d3s_vot.cli import main
from d3s_vot.errors import InputError
from d3s_vot.given import Frame, Given
from d3s_vot.prediction import Prediction
from d3s_vot.regions import Box, Polygon, mask_iou, rasterize
from d3s_vot.tracker import Tracker
from d3s_vot.video.follow import given
from d3s_vot.web import frames as web_frames
from d3s_vot.web.command import listen
from d3s_vot.web.frames import Video
from d3s_vot.web.records import Record
from d3s_vot.web.server import STATIC, create_app

ADDRESS = "http://127.0.0.1:8000"


def matcher(turn: Callable[[], object] = lambda: None) -> Tracker:
    """Waits for its turn before each frame, and wants no tiny targets."""

    class Matcher(Matching):
        def __init__(self, frame: Frame, given: Given) -> None:
            if given.region.box.area < 16:
                raise InputError("the target is too small")
            super().__init__(frame, given)

        def track(self, image: np.ndarray) -> Prediction:
            turn()
            return super().track(image)

    return simple(Matcher)


class Page:
    """What the page does, without a browser."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.results: dict[int, dict[int, dict]] = {}
        self.next = 0

    def ok(self, method: str, path: str, **more: Any) -> Any:
        answer = self.client.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, method: str, path: str, status: int, **more: Any) -> str:
        answer = self.client.request(method, path, **more)
        assert answer.status_code == status, answer.text
        assert list(answer.json()) == ["error"]
        return answer.json()["error"]

    def load(self, path: Path, name: str | None = None) -> dict:
        self.ok("POST", "/api/video", params={"name": name or path.name}, content=path.read_bytes())
        return wait_until(lambda: self.state if self.state["complete"] else None)

    @property
    def state(self) -> dict:
        return self.ok("GET", "/api/video")["video"]

    def draw(self, frame: int, box: Box, target: int | None = None) -> int:
        return self.ok("POST", "/api/target", json={"frame": frame, "target": target, "box": list(box)})["target"]

    def update(self) -> dict:
        answer = self.ok("GET", "/api/results", params={"since": self.next})
        for change in answer["changes"]:
            records = self.results.setdefault(change["target"], {})
            if "frame" in change:
                records[change["frame"]] = change
            else:
                to = change["to"] or 10**9
                self.results[change["target"]] = {k: r for k, r in records.items() if not change["from"] <= k < to}
        self.next = answer["next"]
        return answer["video"]

    def finished(self) -> dict:
        return wait_until(lambda: None if (state := self.update())["tracking"] else state)

    def download(self, name: str) -> bytes:
        self.ok("POST", f"/api/download/{name}")
        file = wait_until(lambda: f if (f := self.state["downloads"][name])["ready"] or f["error"] else None)
        assert file["error"] is None
        answer = self.client.get(f"/api/download/{name}")
        assert answer.status_code == 200
        return answer.content


@pytest.fixture
def page() -> Iterator[Page]:
    with TestClient(create_app({"D3S": matcher()}, limit=1), base_url=ADDRESS) as client:
        yield Page(client)


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Box]]:
    return disc_video(tmp_path_factory.mktemp("disc") / "disc.mp4", 24, options={"g": "8"})


def overlap(record: dict, truth: Box) -> float:
    """IoU of the outline filled with the box filled."""
    mask = np.zeros((120, 160), np.uint8)
    cv2.fillPoly(mask, [np.array(outline).reshape(-1, 1, 2) for outline in record["outlines"]], 1)
    return mask_iou(mask > 0, rasterize(truth, 120, 160))


def test_a_video_and_its_frames(page: Page, disc: tuple[Path, list[Box]]) -> None:
    assert page.ok("GET", "/api/video")["video"] is None
    state = page.load(disc[0])
    assert (state["name"], state["size"], state["fps"], state["frames"]) == ("disc.mp4", [160, 120], 25, 24)
    assert (state["count"], state["lost"], state["tracking"], state["targets"]) == (24, 0, False, [])
    for index in (0, 23, 7):
        answer = page.client.get(f"/api/frame/{index}.jpg", params={"video": state["id"]})
        picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert answer.headers["content-type"] == "image/jpeg"
        assert float(answer.headers["x-time"]) == pytest.approx(index / 25)
        assert np.abs(picture.astype(int) - read(disc[0])[1][index].image).mean() < 6
    assert "there is no frame 24" in page.refused("GET", "/api/frame/24.jpg", 400)
    assert "no frame -1" in page.refused("GET", "/api/frame/-1.jpg", 400)
    assert "another video" in page.refused("GET", "/api/frame/0.jpg?video=old", 409)


def test_track_correct_and_download(page: Page, disc: tuple[Path, list[Box]]) -> None:
    path, boxes = disc
    page.load(path)
    assert page.draw(2, boxes[2]) == 1
    state = page.finished()
    assert state["targets"] == [{"number": 1, "tracker": "D3S", "drawn": [2], "tracked": 22, "active": False}]
    assert (state["tracked"], state["wanted"]) == (22, 22)
    first = page.results[1]
    assert sorted(first) == list(range(2, 24)) and first[2]["confidence"] == 1
    assert all(overlap(record, boxes[k]) > 0.7 for k, record in first.items())

    # Drawn again elsewhere: what was before stays, and tracking goes on from there.
    wrong = Box(boxes[10].x - 20, boxes[10].y, 20, 20)
    assert page.draw(10, wrong, 1) == 1
    (target,) = page.finished()["targets"]
    assert target == {"number": 1, "tracker": "D3S", "drawn": [2, 10], "tracked": 22, "active": False}
    second = page.results[1]
    assert all(second[k] == first[k] for k in range(2, 10))
    assert second[10]["shape"][:2] == [wrong.x, wrong.y] and second[10]["confidence"] == 1
    assert all(overlap(second[k], boxes[k]) < 0.5 for k in range(10, 24))

    # Between the two: up to the later drawing.
    page.draw(6, boxes[6], 1)
    page.finished()
    assert [page.results[1][k] == second[k] for k in (5, 6, 9, 10, 23)] == [True, False, False, True, True]

    # Another target, as a polygon.
    corners = [(boxes[0].x + 15 + 15 * np.cos(a), boxes[0].y + 15 + 15 * np.sin(a)) for a in np.arange(0, 6, 0.5)]
    assert page.ok("POST", "/api/target", json={"frame": 0, "polygon": corners}) == {"target": 2}
    page.finished()
    assert sorted(page.results[2]) == list(range(24)) and overlap(page.results[2][23], boxes[23]) > 0.6

    rows = list(csv.DictReader(io.StringIO(page.download("boxes.csv").decode())))
    assert len(rows) == 22 + 24
    row = next(row for row in rows if (row["frame"], row["target"]) == ("9", "1"))
    assert [float(row[key]) for key in "xywh"] == pytest.approx(tuple(boxes[9]), abs=1.01)
    with zipfile.ZipFile(io.BytesIO(page.download("masks.zip"))) as archive:
        assert archive.namelist() == [f"{k:08d}.png" for k in range(24)]
        labels = np.array(Image.open(archive.open("00000000.png")))
    assert labels.shape == (120, 160) and set(np.unique(labels)) == {0, 2}
    (path.parent / "overlay.mp4").write_bytes(page.download("overlay.mp4"))
    assert packet_count(path.parent / "overlay.mp4") == 24
    answer = page.client.get("/api/download/boxes.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="disc-boxes.csv"'

    # Removed: its number is free again, and the files are made anew.
    page.ok("DELETE", "/api/target/1")
    assert [target["number"] for target in page.update()["targets"]] == [2] and not page.results[1]
    assert page.state["downloads"]["boxes.csv"]["current"] is False
    assert len(page.download("boxes.csv").splitlines()) == 1 + 24
    assert page.draw(20, boxes[20]) == 1


def test_lost_in_frames_without_the_target(page: Page, tmp_path: Path) -> None:
    images = [scene(t)[0] if t < 8 else 255 - scene(t)[0] for t in range(14)]
    page.load(write_video(tmp_path / "hidden.mp4", images))
    page.draw(0, scene(0)[1])
    page.finished()
    lost = [k for k, record in page.results[1].items() if not record["visible"]]
    assert lost == list(range(8, 14))


def test_a_target_is_followed_by_the_tracker_that_was_chosen(disc: tuple[Path, list[Box]]) -> None:
    boxes_alone = matcher()
    boxes_alone.model.gives_masks = False
    app = create_app({"first": matcher(), "second": boxes_alone}, limit=1)
    with TestClient(app, base_url=ADDRESS) as client:
        page = Page(client)
        page.load(disc[0])
        assert page.ok("GET", "/api/video")["trackers"] == ["first", "second"]
        drawing = {"frame": 0, "target": None, "box": tuple(disc[1][0])}
        address = f"/api/target?video={page.ok('GET', '/api/video')['video']['id']}"
        for tracker in (None, "second"):
            page.ok("POST", address, json={**drawing, "tracker": tracker})
        for change, text in (
            ({"tracker": "third"}, "there is no tracker third here; there are first, second"),
            ({"target": 1, "tracker": "second"}, "target 1 has its tracker; draw a new target for another"),
        ):
            assert page.refused("POST", address, 400, json={**drawing, **change}) == text
        wait_until(lambda: not page.ok("GET", "/api/video")["video"]["tracking"])
        targets = page.ok("GET", "/api/video")["video"]["targets"]
        assert [(each["number"], each["tracker"]) for each in targets] == [(1, "first"), (2, "second")]
        video = address.partition("?")[2]
        said = page.refused("POST", f"/api/download/masks.zip?{video}", 409)
        assert said == "masks.zip takes masks, and second gives boxes alone; take another file"
        page.ok("DELETE", f"/api/target/2?{video}")
        page.ok("POST", f"/api/download/masks.zip?{video}")


def test_pause_and_go_on(disc: tuple[Path, list[Box]]) -> None:
    turns = threading.Semaphore(3)
    app = create_app({"D3S": matcher(partial(turns.acquire, timeout=PATIENCE))}, limit=1)
    with TestClient(app, base_url=ADDRESS) as client:
        page = Page(client)
        page.load(disc[0])
        page.draw(0, disc[1][0])
        wait_until(lambda: page.update()["tracked"] == 1 + 3)  # the first frame is given
        page.ok("POST", "/api/pause", json={"paused": True})
        turns.release(200)
        wait_until(lambda: page.update()["tracked"] == 1 + 3 + 1)  # the frame at hand
        time.sleep(0.1)  # time for more, which must not come
        state = page.update()
        assert (state["tracked"], state["tracking"], state["paused"]) == (5, True, True)
        # A second target goes on with both, in turn.
        page.draw(0, disc[1][0])
        assert page.finished()["tracked"] == 48


def test_targets_at_the_same_frame_share_it(disc: tuple[Path, list[Box]], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    read = Video.read

    def counted(self: Video, start: int) -> Iterator[object]:
        for frame in read(self, start):
            decoded.append(frame.index)
            yield frame

    turns = threading.Semaphore(3)
    app = create_app({"D3S": matcher(partial(turns.acquire, timeout=PATIENCE))}, limit=1)
    with TestClient(app, base_url=ADDRESS) as client:
        page = Page(client)
        page.load(disc[0])
        monkeypatch.setattr(Video, "read", counted)
        page.draw(0, disc[1][0])
        wait_until(lambda: page.update()["tracked"] == 1 + 3)  # the first waits in frame 4
        page.draw(0, disc[1][0])
        page.draw(0, disc[1][0])
        turns.release(200)
        assert page.finished()["tracked"] == 3 * 24
    # The second reads frames 0 to 4 until it has caught up, the third frame 0.
    assert sorted(decoded) == sorted([*range(24), *range(5), 0])
    first, *others = ([record | {"target": 0} for record in page.results[number].values()] for number in (1, 2, 3))
    assert len(first) == 24
    assert all(sorted(other, key=str) == sorted(first, key=str) for other in others)


def test_what_cannot_be_drawn(page: Page, disc: tuple[Path, list[Box]]) -> None:
    path, boxes = disc

    def refused(status: int = 400, **drawing: Any) -> str:
        return page.refused("POST", "/api/target", status, json=drawing)

    assert "no video is open" in refused(409, frame=0, box=[1, 1, 5, 5])
    page.load(path)
    assert "no frame 24" in refused(frame=24, box=[1, 1, 5, 5])
    assert "outside the picture" in refused(frame=0, box=[500, 1, 5, 5])
    assert "width and height must be positive" in refused(frame=0, box=[5, 5, 0, 3])
    assert "a line or a point" in refused(frame=0, polygon=[[1, 1], [1, 2], [1, 3]])
    assert "three or more" in refused(frame=0, polygon=[[1, 1], [9, 9]])
    assert "a box or a polygon" in refused(frame=0)
    assert "body.box" in refused(frame=0, box=["x", 1, 2, 3])
    assert "no target 7" in refused(frame=0, target=7, box=[1, 1, 5, 5])
    assert "no target 7" in page.refused("DELETE", "/api/target/7", 400)
    # What the tracker refuses is told later, and leaves what there was.
    page.draw(0, Box(5, 5, 1, 1))
    state = wait_until(lambda: s if (s := page.update())["problem"] else None)
    assert state["problem"] == "target 1 cannot be tracked from frame 0 on: the target is too small"
    assert state["targets"] == [] and not page.results
    page.draw(0, boxes[0])
    page.finished()
    before = page.results[1]
    page.draw(9, Box(5, 5, 1, 1), 1)
    wait_until(lambda: page.update()["problems"] == 2)
    assert page.finished()["targets"][0]["drawn"] == [0] and page.results[1] == before


def test_uploads_that_are_refused(page: Page, disc: tuple[Path, list[Box]]) -> None:
    def refused(status: int, content: Any, name: str = "a.mp4") -> str:
        return page.refused("POST", "/api/video", status, params={"name": name}, content=content)

    assert refused(400, b"") == "a.mp4 is empty (0 bytes); copy or record it again"
    assert refused(400, b"text" * 99).startswith("a.mp4 is not a video")
    assert "--limit" in refused(413, bytes(2**20 + 1))
    assert "--limit" in refused(413, (bytes(2**18) for _ in range(5)))  # of a length that is not stated
    studio = page.client.app.state.studio
    assert list(studio.folder.iterdir()) == [] and page.state is None
    page.load(disc[0])
    assert refused(409, disc[0].read_bytes()) == "disc.mp4 is open; close it before you open another video"
    page.ok("DELETE", "/api/video")
    assert list(studio.folder.iterdir()) == [] and page.state is None
    page.load(disc[0], "again.mp4")


def test_names_are_never_paths(page: Page, disc: tuple[Path, list[Box]]) -> None:
    studio = page.client.app.state.studio
    for name, shown, saved in (
        ("../../etc/x", "x", "x"),
        ("..\\..\\x.mp4", "x.mp4", "x"),
        ("/etc/passwd\0.mp4", "passwd.mp4", "passwd"),
        ("<script>alert(1)</script>.mp4", "script>.mp4", "script"),
        ("<img src=x onerror=alert(1)>.mp4", "<img src=x onerror=alert(1)>.mp4", "img_src_x_onerror_alert_1"),
        ("..", "..", "video"),
        ("Ü\u202e\n.mp4", "Ü.mp4", "video"),
    ):
        assert page.load(disc[0], name)["name"] == shown
        inside = [path.relative_to(studio.folder).parts for path in studio.folder.rglob("*") if path.is_file()]
        assert [parts[1:] for parts in inside] == [("video",)]
        page.draw(0, disc[1][0])
        page.finished()
        page.download("boxes.csv")
        header = page.client.get("/api/download/boxes.csv").headers["content-disposition"]
        assert header == f'attachment; filename="{saved}-boxes.csv"'
        page.ok("DELETE", "/api/video")
        page.next = 0
    for path in ("/../server.py", "/%2e%2e/server.py", "/api/download/..%2fvideo", "/static/../../server.py"):
        assert page.client.get(path).status_code in (404, 409)


def test_only_the_page_itself_is_answered(page: Page) -> None:
    def status(path: str = "/api/video", method: str = "GET", **headers: str) -> int:
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        return page.client.request(method, path, headers=headers).status_code

    assert [status(host=host) for host in ("localhost:8000", "127.0.0.1", "[::1]:9", "LOCALHOST")] == [200] * 4
    foreign = ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "192.168.0.9", "", "[::1", "x@evil")
    assert [status(host=host) for host in foreign] == [403] * 7
    assert status(origin=ADDRESS) == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8000"):
        assert status(method="DELETE", origin=origin) == status(origin=origin) == 403
    assert status(sec_fetch_site="same-origin") == status(sec_fetch_site="none") == 200
    assert status(sec_fetch_site="cross-site") == status(sec_fetch_site="same-site") == 403
    assert status("/", sec_fetch_site="cross-site") == 200
    # A form cannot send JSON.
    text = page.client.post("/api/pause", content='{"paused": true}', headers={"content-type": "text/plain"})
    assert text.status_code in (400, 409)
    headers = page.client.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert page.client.get("/docs").status_code == page.client.get("/openapi.json").status_code == 404


def test_other_hosts_when_asked_for() -> None:
    with TestClient(create_app({"D3S": matcher()}, limit=1, host="0.0.0.0"), base_url=ADDRESS) as client:
        for host, status in (("192.168.0.9:8000", 200), ("evil.example", 403)):
            assert client.get("/api/video", headers={"host": host}).status_code == status


def test_the_folder_is_private_and_removed(disc: tuple[Path, list[Box]]) -> None:
    with TestClient(create_app({"D3S": matcher(partial(time.sleep, 0.05))}, limit=1), base_url=ADDRESS) as client:
        page = Page(client)
        folder = client.app.state.studio.folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        page.load(disc[0])
        page.draw(0, disc[1][0])  # and the server ends while it is tracked, and a file is made
        page.ok("POST", "/api/download/overlay.mp4")
        assert any(folder.iterdir())
    assert not folder.exists()


def test_frames_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_frames, "CACHE", 0)
    options = {"g": "10", "bf": "2"}
    whole = disc_video(tmp_path / "a.mp4", 45, options=options)[0]
    transport = disc_video(tmp_path / "a.ts", 45, options=options)[0]
    turned = write_video(tmp_path / "t.mp4", small_frames(30), rotation=90, options=options)
    torn = damage(write_video(tmp_path / "d.mkv", small_frames(40), options=options), (12, 20, 21))
    for path in (whole, transport, turned, torn):
        _, frames = read(path)
        video = Video(path, path.name)
        wait_until(lambda video=video: video.complete)
        assert video.frames == video.count == len(frames)
        assert video.lost == sum(frame.image is None for frame in frames)
        for start in (0, 9, 23, len(frames) - 1):
            found = list(video.read(start))
            assert [frame.index for frame in found] == list(range(start, len(frames)))
            for frame in found:
                expected = frames[frame.index]
                assert frame.time == expected.time and (frame.image is None) == (expected.image is None)
                assert frame.image is None or np.array_equal(frame.image, expected.image)
        assert all(video.picture(k)[:2] == b"\xff\xd8" for k in (25, 24, 23, 3, 29, 0, 12))
        video.close()
    key = Video(whole, "a")
    wait_until(lambda: key.complete)
    source, first = key._near(37)
    source.close()
    key.close()
    assert first == 30


@pytest.mark.parametrize("region", [Box(3, -4, 30, 20), Polygon([(5, 5), (40, 9), (30, 60), (2, 30)])])
def test_a_record_gives_the_answer_back(region: Box | Polygon) -> None:
    answer = replace(given(region, (70, 50)), confidence=0.25, visible=False)
    again = Record.of(answer).prediction((70, 50))
    assert np.array_equal(again.mask, answer.mask) and again.mask.any()
    assert (again.shape, again.confidence, again.visible) == (region, 0.25, False)
    empty = Prediction(region, 0.0, False, (70, 50))
    assert not Record.of(empty).prediction((70, 50)).mask.any() and Record.of(empty).outlines == []


def test_the_page_loads_nothing_from_elsewhere(page: Page) -> None:
    assert page.client.get("/").headers["content-type"].startswith("text/html")
    for path in STATIC.iterdir():
        assert page.client.get(f"/{path.name}").text == path.read_text()
        assert not re.search(r"(https?:)?//[a-z]", path.read_text()), path.name


def test_command_line_mistakes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def error(*options: str) -> str:
        assert main(["web", *options]) == 2
        return capsys.readouterr().err

    with listen("127.0.0.1", 0) as busy:
        port = str(busy.getsockname()[1])
        assert f"127.0.0.1 port {port} cannot be used" in error("--port", port)
    assert "there is no address no.such.host.invalid" in error("--host", "no.such.host.invalid")
    assert "none.safetensors" in error("--port", "0", "--weights", "none.safetensors")
    for options in (["--port", "99999"], ["--limit", "0"]):
        with pytest.raises(SystemExit):
            main(["web", *options])
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert error() == "d3s-vot: the page needs the package uvicorn; install d3s-vot[web]\n"
