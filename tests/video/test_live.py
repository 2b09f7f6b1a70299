"""Cameras and addresses: the newest picture, and one sentence where nothing answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("av")
from videos import disc_video, read, small_frames

from d3s_vot.errors import InputError
from d3s_vot.video.sources import live, open_source


def test_a_camera_that_is_not_there(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("99", "/dev/video99"):
        with pytest.raises(InputError, match="there is no camera 99, or another program uses it"):
            open_source(name)
    assert capfd.readouterr().err == ""


class StandInCamera:
    """As `cv2.VideoCapture`: so many pictures, whose blue value is their number; all but the first when let go."""

    def __init__(self, pictures: int) -> None:
        self.pictures, self.taken, self.open = pictures, 0, True
        self.go, self.ended = threading.Event(), threading.Event()

    def isOpened(self) -> bool:
        return self.open

    def set(self, key: int, value: float) -> bool:
        return key == cv2.CAP_PROP_BUFFERSIZE and value == 1

    def get(self, key: int) -> float:
        return 30.0 if key == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.taken:
            self.go.wait()
        if self.taken == self.pictures:
            return False, None
        self.taken += 1
        return True, np.full((8, 8, 3), (self.taken % 256, 0, 0), np.uint8)

    def release(self) -> None:
        self.open = False
        self.ended.set()


def test_a_camera_gives_its_newest_picture(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    camera = StandInCamera(50)
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
    with open_source("3") as source:
        assert (source.live, source.count, source.fps, source.name) == (True, None, 30, "camera 3")
        frames = [next(iter(source))]
        camera.go.set()
        camera.ended.wait()  # the tracker was slow
        frames += source
    assert [int(frame.image[0, 0, 2]) for frame in frames] == [1, 50]  # RGB
    assert [frame.index for frame in frames] == [0, 1] and 0 == frames[0].time < frames[1].time
    assert caplog.messages == ["camera 3 ended: no more pictures come"]


def test_a_camera_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = StandInCamera(10**9)
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
    camera.go.set()
    with open_source("4") as source:
        assert [next(iter(source)).index for _ in range(3)] == [0, 1, 2]
    assert not camera.open and list(source) == []


def test_what_goes_wrong_in_the_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = StandInCamera(1)
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: camera)
    monkeypatch.setattr(cv2, "cvtColor", lambda image, code: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_source("5")
    monkeypatch.setattr(camera, "taken", 1)
    camera.go.set()
    with pytest.raises(InputError, match="there is no camera 5, or another program uses it"):
        open_source("5")
    camera.open = True
    with pytest.raises(InputError, match="camera 5 gives no picture"):
        open_source("5")


@contextmanager
def served(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Address of a server on this machine that answers in that way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *parts: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_stream_of_pictures_over_http(caplog: pytest.LogCaptureFixture) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace;boundary=next")
        handler.end_headers()
        for image in small_frames(30):
            data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
            handler.wfile.write(
                b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(data), data)
            )

    with served(answer) as address:
        source, frames = read(address + "/live.mjpg")
    assert source.live and source.count is None and "secret" not in source.name
    assert source.size == (64, 48) and 1 <= len(frames) <= 30
    assert frames[-1].image[10, 10].argmax() == 0  # red: not BGR
    assert "ended: no more pictures come" in caplog.messages[-1] and "secret" not in caplog.text


def test_a_whole_video_over_http(tmp_path: Path) -> None:
    data = disc_video(tmp_path / "disc.mp4", 15, container={"movflags": "faststart"})[0].read_bytes()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    with served(answer) as address:
        source, frames = read(address + "/disc.mp4")
    assert not source.live and len(frames) == source.count == 15


def test_addresses_that_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    words = r"http://127\.0\.0\.1:\d+/no cannot be opened: .*404"
    with served(lambda handler: handler.send_error(404)) as address, pytest.raises(InputError, match=words):
        open_source(address + "/no")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=rf"rtsp://127\.0\.0\.1:{port}/cam cannot be opened: Connection refused"):
            open_source(f"rtsp://user:pass@127.0.0.1:{port}/cam")
        server.listen()
        monkeypatch.setattr(live, "TIMEOUT", 0.2)
        with pytest.raises(InputError, match="does not answer, or not with a video; check the address"):
            open_source(f"rtsp://127.0.0.1:{port}/cam")
    with pytest.raises(InputError, match=r"foo://x cannot be opened: Protocol not found"):
        open_source("foo://x")
