"""Every frame of a video file: all there, upright, in order, at its time; and one sentence for what is wrong."""

from __future__ import annotations

import gc
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scenes import scene

av = pytest.importorskip("av")
from videos import damage, disc_video, lost, packet_count, read, small_frames, write_video  # noqa: E402

from d3s_vot.errors import InputError  # noqa: E402
from d3s_vot.video.outputs.encoding import OverlayVideo  # noqa: E402
from d3s_vot.video.sources import Frame, open_source  # noqa: E402
from d3s_vot.video.sources.decoding import display_matrix  # noqa: E402


def assert_disc(frame: Frame, box: tuple[float, ...]) -> None:
    """The disc is brighter than the ground, and lies in the box."""
    x, y, w, h = (round(number) for number in box)
    assert frame.image is not None
    inside = frame.image[y + 8 : y + h - 8, x + 8 : x + w - 8].mean()
    assert inside > frame.image[:20].mean() + 60


CODINGS = [
    ("clip.mp4", "libx264", None),
    ("clip.mkv", "libx264", None),
    ("clip.avi", "libx264", None),  # B-frames in a container without times of presentation
    ("clip.ts", "libx264", None),
    ("clip.h264", "libx264", None),  # no times at all
    ("clip.mov", "libx264", "yuv420p10le"),
    ("clip.mp4", "mpeg4", None),
    ("clip.avi", "mjpeg", None),
    ("clip.mkv", "ffv1", "gray"),
    ("clip.mkv", "ffv1", "bgra"),
    ("clip.webm", "libvpx", None),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), CODINGS)
def test_every_coding_gives_every_frame_at_its_time(tmp_path: Path, name: str, codec: str, pix_fmt: str | None) -> None:
    path, boxes = disc_video(tmp_path / name, 20, codec=codec, pix_fmt=pix_fmt)
    source, frames = read(path)
    assert len(frames) == packet_count(path) == 20 and source.count in (None, 20) and not source.live
    assert source.fps == pytest.approx(25) and source.size == (160, 120) and not lost(frames)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(20) / 25, atol=1e-6)
    for frame, box in zip(frames, boxes, strict=True):
        assert_disc(frame, (box.x, box.y, box.w, box.h))
        if pix_fmt != "gray":
            assert np.abs(frame.image.astype(int) - scene(frame.index)[0]).mean() < 15


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mjpeg"), ("a.mkv", "ffv1"), ("a.mkv", "libx264")]
)
def test_odd_sizes_are_kept(tmp_path: Path, name: str, codec: str) -> None:
    path, boxes = disc_video(tmp_path / name, 6, height=121, width=161, codec=codec)
    source, frames = read(path)
    assert source.size == (161, 121) and len(frames) == 6
    assert_disc(frames[5], (boxes[5].x, boxes[5].y, boxes[5].w, boxes[5].h))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    shown = small_frames(3)
    path = write_video(tmp_path / "turned.mp4", shown, pix_fmt="yuv444p", rotation=rotation, mirrored=mirrored)
    with av.open(str(path)) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == ((48, 64) if rotation % 180 else (64, 48))
    source, frames = read(path)
    assert source.size == (64, 48)
    for frame, image in zip(frames, shown, strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 6


@pytest.mark.parametrize("name", ["varying.mp4", "varying.mkv"])
def test_variable_rate_keeps_the_times(tmp_path: Path, name: str) -> None:
    times = [0.5, 0.54, 0.7, 0.701, 1.9, 2.0, 2.25, 5.0]
    _, frames = read(write_video(tmp_path / name, small_frames(8), times=times))
    np.testing.assert_allclose([frame.time for frame in frames], np.array(times) - 0.5, atol=1e-6)
    greys = [frame.image[-8:].mean() for frame in frames]
    assert greys == sorted(greys)


@pytest.mark.parametrize("name", ["late.mkv", "late.webm", "late.mp4", "late.ts"])
def test_a_clock_that_begins_late_is_no_loss(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    times = [100 + k / 25 for k in range(30)]
    codec = "libvpx" if name.endswith("webm") else "libx264"
    path = write_video(tmp_path / name, small_frames(30), codec=codec, times=times)
    _, frames = read(path)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / 25, atol=2e-3)
    assert not caplog.messages


def test_a_late_clock_and_a_real_loss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = {"g": "5", "bf": "0"}
    path = write_video(tmp_path / "late.mkv", small_frames(90), times=[50 + k / 25 for k in range(90)], options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    read(path)
    assert "ends early" in caplog.messages[-1] and caplog.messages[-1].endswith(" of 3.6 s")


@pytest.mark.parametrize("preview_first", [True, False])
def test_of_several_tracks_the_film_is_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, preview_first: bool
) -> None:
    caplog.set_level("INFO")
    with av.open(str(tmp_path / "flight.mkv"), "w") as file:
        kinds = [("mjpeg", "yuvj420p", (64, 48), 1), ("libx264", "yuv420p", (160, 120), 30)]
        streams = []
        for codec, form, (width, height), count in kinds if preview_first else kinds[::-1]:
            stream = file.add_stream(codec, 25)
            stream.width, stream.height, stream.pix_fmt = width, height, form
            streams.append((stream, count, np.full((height, width, 3), 90, np.uint8)))
        for stream, count, image in streams:
            for _ in range(count):
                picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
                file.mux(stream.encode(picture))
            file.mux(stream.encode(None))
    source, frames = read(tmp_path / "flight.mkv")
    assert (source.size, len(frames)) == ((160, 120), 30)
    number = int(preview_first)
    assert caplog.messages[0].endswith(f"2 tracks of pictures; number {number}, of 160 x 120 pixels, is followed")


TAPE = Fraction(16, 11)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_an_unknown_kind_of_side_data_costs_no_frame(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "a.mp4", small_frames(1), rotation=rotation)
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))

    class Unknown:  # as PyAV's frames are, where FFmpeg has more kinds than it knows
        rotation = frame.rotation

        @property
        def side_data(self) -> None:
            raise ValueError("31 is not a valid Type")

    assert np.array_equal(np.sign(display_matrix(Unknown())), np.sign(display_matrix(frame)))


@pytest.mark.parametrize(("rotation", "shown"), [(0, TAPE), (180, TAPE), (90, 1 / TAPE)])
@pytest.mark.parametrize("name", ["tape.mp4", "tape.mkv"])
def test_pixels_that_are_not_square(tmp_path: Path, rotation: int, shown: Fraction, name: str) -> None:
    path = write_video(tmp_path / name, small_frames(3), rotation=rotation, pixel_shape=TAPE)
    source, _ = read(path)
    assert source.pixel_shape == shown and source.size == (64, 48)
    with OverlayVideo(tmp_path / f"overlay-{name}", source) as overlay:
        overlay.write(Frame(0, 0.0, np.zeros((48, 64, 3), np.uint8)), [])
    assert read(tmp_path / f"overlay-{name}")[0].pixel_shape == shown


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("bad.mp4", "libx264", None),  # where B-frames go is the encoder's choice
        ("bad.mkv", "libx264", None),
        ("bad.avi", "libx264", None),
        ("bad.mp4", "mpeg4", [7, 18, 29]),
        ("bad.avi", "mjpeg", [7, 18, 29]),
        ("bad.webm", "libvpx", [7, 18, 29]),
    ],
)
def test_three_corrupt_frames_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, codec: str, expected: list[int] | None
) -> None:
    often = {"x264-params": "keyint=10"} if codec == "libx264" else {}  # key frames, to recover at
    path, boxes = disc_video(tmp_path / name, 40, codec=codec, options=often)
    damage(path, [7, 18, 29])
    _, frames = read(path)
    assert len(frames) == packet_count(path) == 40
    assert len(lost(frames)) == 3 and lost(frames) == (expected or lost(frames))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 25, atol=1e-6)
    assert_disc(frames[39], (boxes[39].x, boxes[39].y, boxes[39].w, boxes[39].h))
    assert [record.message for record in caplog.records] == [f"video {path}: 3 of 40 frames cannot be decoded"]


def test_a_torn_picture_is_better_than_none(tmp_path: Path) -> None:
    path, _ = disc_video(tmp_path / "torn.avi", 12, codec="mpeg4")
    _, whole = read(path)
    _, frames = read(damage(path, [5], keep=0.4))
    assert len(frames) == 12 and not lost(frames)
    assert (frames[5].image != whole[5].image).any()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("packet", [0, 7])
def test_every_picture_shows_something(tmp_path: Path, codec: str, packet: int) -> None:
    often = {codec.removeprefix("lib") + "-params": "keyint=10:min-keyint=10:log-level=none"}
    path, _ = disc_video(tmp_path / "bad.mp4", 40, codec=codec, options=often)
    _, frames = read(damage(path, [packet]))
    assert len(frames) == 40 and 1 <= len(lost(frames)) <= 20
    for frame in frames:  # without their reference they would be grey
        assert frame.image is None or np.abs(frame.image.astype(int) - scene(frame.index)[0]).mean() < 15


def test_a_damaged_beginning_is_counted_too(tmp_path: Path) -> None:
    path, _ = disc_video(tmp_path / "bad.mp4", 12, codec="mjpeg")
    source, frames = read(damage(path, [0, 1]))
    assert lost(frames) == [0, 1] and len(frames) == 12 and source.size == (160, 120)


def test_nothing_that_can_be_decoded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, _ = disc_video(tmp_path / "bad.mp4", 5, codec="mjpeg")
    with pytest.raises(InputError, match=r"no frame of video .*bad\.mp4 can be decoded; it is damaged"):
        open_source(damage(path, range(5)))
    assert caplog.messages == []


def test_hidden_frames_are_none_that_are_missing(tmp_path: Path) -> None:
    path, _ = disc_video(tmp_path / "hidden.webm", 10, codec="libvpx")
    with av.open(str(path)) as file:
        packet = [packet for packet in file.demux(video=0) if packet.size][4]
    data = bytearray(path.read_bytes())
    data[data.index(bytes(packet), packet.pos)] &= ~0x10  # VP8's bit "show this frame"
    path.write_bytes(data)
    _, frames = read(path)
    assert len(frames) == 9 and not lost(frames)
    np.testing.assert_allclose([frame.time for frame in frames], np.delete(np.arange(10), 4) / 25, atol=1e-6)


def test_wrong_times_in_the_container_cost_no_more_than_the_first_frames(tmp_path: Path) -> None:
    path, boxes = disc_video(tmp_path / "right.mp4", 40)
    wrong = tmp_path / "wrong.mkv"
    with av.open(str(path)) as source, av.open(str(wrong), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream, packet.pts = stream, packet.dts  # in the order of decoding, as careless programs write
                file.mux(packet)
    _, frames = read(wrong)
    assert len(frames) == 40 and len(lost(frames)) <= 4 and max(lost(frames)) < 8
    assert_disc(frames[39], (boxes[39].x, boxes[39].y, boxes[39].w, boxes[39].h))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 25, atol=0.1)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_recording_cut_out_of_another_begins_at_a_key_frame(tmp_path: Path, codec: str) -> None:
    often = {codec.removeprefix("lib") + "-params": "keyint=10:min-keyint=10:open-gop=1:log-level=none"}
    path, _ = disc_video(tmp_path / "whole.ts", 60, codec=codec, options=often)
    _, whole = read(path)
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 188 * 3 // 10 * 188 :])
    _, frames = read(path)
    assert 30 <= len(frames) < packet_count(path) and not lost(frames)
    for frame, original in zip(frames, whole[-len(frames) :], strict=True):
        assert (frame.image == original.image).all()
    path.write_bytes(data * 2)  # two recordings end to end
    _, frames = read(path)
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(120) / 25, atol=1e-6)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi"])
def test_a_truncated_file_goes_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    container = {"movflags": "faststart"} if name.endswith("mp4") else None
    path, _ = disc_video(tmp_path / name, 75, codec="mjpeg", container=container)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 55 // 100])
    _, frames = read(path)
    assert 20 < len(frames) < 60 and len(lost(frames)) <= 1
    early = [record.message for record in caplog.records if "ends early" in record.message]
    assert len(early) == 1 and str(path) in early[0]


def test_another_size_on_the_way_is_scaled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [
        write_video(tmp_path / f"{i}.ts", small_frames(10, *size), options={"bf": "0"})
        for i, size in enumerate([(96, 128), (48, 64)])
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    source, frames = read(path)
    assert source.size == (128, 96) and len(frames) == 20
    assert frames[15].image[10, 10].argmax() == 0 and frames[15].image[10, 120].argmax() == 1
    assert [record.message for record in caplog.records] == [
        f"{path}: frame 10 is 64 x 48 pixels; it and others of another size are scaled to 128 x 96"
    ]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path, _ = disc_video(tmp_path / "long.mp4", 1500, options={"preset": "ultrafast"}, rotation=90)
    gc.collect()
    gc.disable()  # nothing may wait for it: a few hundred frames of 4K are gigabytes
    try:
        with open_source(path) as source:
            for frame in source:
                if frame.index % 300 == 299:
                    alive = [type(thing).__name__ for thing in gc.get_objects()]
                    assert alive.count("VideoFrame") < 6 and alive.count("Packet") < 40 and alive.count("_Sent") < 40
    finally:
        gc.enable()
    assert frame.index == 1499


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all\n" * 50)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile disc.mp4\n")
    disc_video(tmp_path / "disc.mp4", 30)
    (tmp_path / "half.mp4").write_bytes((tmp_path / "disc.mp4").read_bytes()[:4000])
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    for name, words in {
        "empty.mp4": r"is empty \(0 bytes\)",
        "text.mp4": "is not a video, or it is damaged or cut off",
        "half.mp4": "is not a video, or it is damaged or cut off",
        "list.mp4": "only lists other files",
        "sound.mp4": "has sound but no pictures",
        "missing.mp4": "there is no video or folder",
        "two\nlines\0.mp4": "no source is named",
    }.items():
        with pytest.raises(InputError, match=words) as caught:
            open_source(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="no source is named"):
        open_source(" ")


def test_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = disc_video(tmp_path / "concat:a%03d [1]*.mp4", 4)
    monkeypatch.chdir(tmp_path)
    assert len(read(path.name)[1]) == len(read(path)[1]) == 4


def test_without_the_package_av(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = disc_video(tmp_path / "v.mp4", 2)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"install d3s-vot\[video\]"):
        open_source(path)
