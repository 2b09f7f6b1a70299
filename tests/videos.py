"""Small videos made by the tests: any codec, turned, of variable rate, damaged; and one of a moving disc."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from scenes import scene

from d3s_vot.regions import Box
from d3s_vot.video.sources import Frame, Source, open_source

CLOCK = Fraction(1, 1000)  # seconds; the step of times


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: int = 25,
    codec: str = "libx264",
    pix_fmt: str | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    pixel_shape: Fraction = Fraction(1),
) -> Path:
    """Encode frames, H x W x 3 RGB uint8 of one size; the ending of the path chooses the container.

    Args:
        path: of the file.
        frames: as they shall be seen.
        fps: frames per second.
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the stored form; by default one that the codec takes for that size.
        rotation: 0, 90, 180 or 270; the pictures are stored turned, and the file tells the player to turn them back by
            so many degrees counter-clockwise.
        mirrored: the file also tells the player to swap left and right in the end.
        times: seconds of each frame, for a variable rate.
        options: of the encoder.
        container: options of the container.
        pixel_shape: width over height of a stored pixel.
    """
    with av.open(str(path), "w", options=container or {}) as file:
        stream = None
        for index, frame in enumerate(frames):
            stored = np.ascontiguousarray(np.rot90(frame[:, ::-1] if mirrored else frame, -rotation // 90))
            if stream is None:
                stream = file.add_stream(codec, rate=fps, options=options or {})
                stream.height, stream.width = stored.shape[:2]
                stream.pix_fmt = pix_fmt or _pix_fmt(codec, odd=bool(stream.height % 2 or stream.width % 2))
                stream.codec_context.sample_aspect_ratio = pixel_shape
                if times is not None:
                    stream.codec_context.time_base = CLOCK
                if rotation or mirrored:
                    stream.set_display_rotation(rotation, hflip=mirrored)
            picture = av.VideoFrame.from_ndarray(stored, "rgb24")
            picture.pts = index if times is None else round(times[index] / CLOCK)
            picture.time_base = Fraction(1, fps) if times is None else CLOCK
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def _pix_fmt(codec: str, odd: bool) -> str:
    if codec == "mjpeg":
        return "yuvj444p"
    return "yuv444p" if odd and codec.startswith("libx26") else "yuv420p"


def disc_video(
    path: Path, count: int = 20, height: int = 120, width: int = 160, **options: object
) -> tuple[Path, list[Box]]:
    """A video of the moving disc of `scene`, which turns round at the border, and its boxes.

    Args:
        path: of the file.
        count: how many frames.
        height: pixels, from 80 on.
        width: pixels, from 80 on.
        options: of `write_video`.
    """
    last = min((width - 60) // 2, height - 70)
    steps = [abs((t + last) % (2 * last) - last) for t in range(count)]
    scenes = {t: scene(t, height, width) for t in set(steps)}
    return write_video(path, (scenes[t][0] for t in steps), **options), [scenes[t][1] for t in steps]


def packet_count(path: Path) -> int:
    """How many frames the container promises: the packets of its video."""
    with av.open(str(path)) as file:
        return sum(packet.size > 0 for packet in file.demux(video=0))


def damage(path: Path, packets: Iterable[int], keep: float = 0.0) -> Path:
    """Overwrite the insides of packets in place; the container stays whole.

    Args:
        path: of an .mp4, .mkv or .avi file.
        packets: their numbers in the order of decoding; frame 0 is packet 0, others may have moved.
        keep: share of each packet that stays, from its beginning; 0: nothing can be decoded, 0.4: the picture is torn.
    """
    with av.open(str(path)) as file:
        found = [(packet.pos, bytes(packet)) for packet in file.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in packets:
        position, payload = found[number]
        begin = data.index(payload, position) + int(keep * len(payload))  # containers put a header in front
        end = begin + len(payload) - int(keep * len(payload))
        data[begin:end] = random.Random(number).randbytes(end - begin)
    path.write_bytes(data)
    return path


def small_frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Red top left, green top right, blue below; and grey steps along the bottom that tell the number."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 0] = image[: height // 2, width // 2 :, 1] = image[height // 2 :, :, 2] = 255
    frames = [image.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[-16:] = 60 + number * 180 // count
    return frames


def read(path: str | Path) -> tuple[Source, list[Frame]]:
    """The closed source and all its frames, which must hold what every source promises."""
    with open_source(path) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert frames[0].time == 0 and all(a.time < b.time for a, b in itertools.pairwise(frames))
    for frame in frames:
        if frame.image is not None:
            assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous
            assert frame.image.shape == (source.size[1], source.size[0], 3)
    return source, frames


def lost(frames: list[Frame]) -> list[int]:
    """The frames without a picture."""
    return [frame.index for frame in frames if frame.image is None]
