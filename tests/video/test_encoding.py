"""The overlay as a video: read back with PyAV."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from answers import SIZE, Made, answer, little_room

from d3s_vot.errors import D3SError, InputError
from d3s_vot.video.outputs.encoding import OverlayVideo
from d3s_vot.video.sources import Frame, Source

av = pytest.importorskip("av")


def overlay(path: Path, source: Source, stop: int | None = None) -> None:
    with OverlayVideo(path, source) as output:
        for frame in source:
            if frame.index == stop:
                raise KeyboardInterrupt
            output.write(frame, [answer(size=source.size, visible=frame.image is not None)])


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize("times", [[k / 25 for k in range(60)], [0, 0.001, 0.0021, 0.0031, 0.5, 0.533, 4.0, 4.04]])
def test_overlay_has_the_frames_and_times_of_the_source(tmp_path: Path, ending: str, times: list[float]) -> None:
    path = tmp_path / "new" / f"a:b.{ending}"
    overlay(path, Made(times))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with av.open(f"file:{path}") as video:
        stream = video.streams.video[0]
        frames = list(video.decode(stream))
        context = stream.codec_context
        assert (context.name, context.pix_fmt, (context.width, context.height)) == ("h264", "yuv420p", SIZE)
    assert [frame.time for frame in frames] == pytest.approx(times, abs=0.0006)
    for index, frame in enumerate(frames):
        assert np.abs(frame.to_ndarray(format="rgb24")[2:6, 50:60].astype(int) - 40 - 10 * (index % 20)).max() < 6
    if ending != "mkv":
        data = path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")  # plays while it is loaded


def test_overlay_begins_at_zero_where_the_run_began_later(tmp_path: Path) -> None:
    source = Made([k / 25 for k in range(20)])
    for _ in range(12):
        next(iter(source))
    overlay(tmp_path / "a.mp4", source)
    with av.open(tmp_path / "a.mp4") as video:
        assert [frame.time for frame in video.decode(video=0)] == pytest.approx([k / 25 for k in range(8)])


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (1, 1), (3, 200)])
def test_odd_sizes_grow_by_a_pixel(tmp_path: Path, size: tuple[int, int]) -> None:
    overlay(tmp_path / "a.mp4", Made([0, 0.04, 0.08], size))
    with av.open(tmp_path / "a.mp4") as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 3
    assert frames[0].shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)


def test_lost_frame_repeats_the_picture_before(tmp_path: Path) -> None:
    overlay(tmp_path / "a.mp4", Made([k / 25 for k in range(8)], lost=[0, 4, 5], fps=0))
    with av.open(tmp_path / "a.mp4") as video:
        levels = [frame.to_ndarray(format="rgb24")[4, 55].mean() for frame in video.decode(video=0)]
    assert levels == pytest.approx([0, 50, 60, 70, 70, 70, 100, 110], abs=5)


def test_interrupted_run_leaves_a_playable_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        overlay(tmp_path / "a.mp4", Made([k / 25 for k in range(30)]), stop=17)
    with av.open(tmp_path / "a.mp4") as video:
        assert len(list(video.decode(video=0))) == 17


@pytest.mark.parametrize("delay", [0.1, 0.113, 0.127, 0.14, 0.155])
def test_interrupt_within_a_frame_costs_none_of_the_others(tmp_path: Path, delay: float) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    noise = np.random.default_rng(0).integers(0, 255, (4, 240, 320, 3), np.uint8)  # so most of the time is encoding
    done = 0
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), OverlayVideo(tmp_path / "a.mkv", Made([0], (320, 240))) as output:
            output.write(Frame(0, 0.0, noise[0]), [])
            signal.setitimer(signal.ITIMER_REAL, delay)
            while True:
                done += 1
                output.write(Frame(done, done / 25, noise[done % 4]), [])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with av.open(tmp_path / "a.mkv") as video:
        shown = [round(25 * frame.time) for frame in video.decode(video=0)]
    assert shown in (list(range(done)), list(range(done + 1)))


def test_overlay_that_cannot_be_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.gif", "a.webm", "a", "a.json"):
        with pytest.raises(InputError, match=r"end in \.mp4"):
            overlay(tmp_path / name, Made([0]))
    with pytest.raises(InputError, match="cannot hold pictures of 20000 x 2 pixels"):
        overlay(tmp_path / "a.mp4", Made([0], (20000, 2)))
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        overlay(tmp_path / "b.mp4", Made([0]))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        overlay(tmp_path / "file" / "c.mp4", Made([0]))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        with pytest.raises(InputError, match=r"install d3s-vot\[video\]"):
            overlay(tmp_path / "d.mp4", Made([0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.mp4", "file"]


def test_full_disk_leaves_no_torn_video(tmp_path: Path) -> None:
    video = OverlayVideo(tmp_path / "a.mp4", Made([0]))
    video.write(Frame(0, 0, None), [answer()])
    with pytest.raises(D3SError, match="cannot be written any more"), little_room(10):
        video.close()
    assert not list(tmp_path.iterdir())
    video.close()  # a second time
