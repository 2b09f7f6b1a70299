"""The overlay as a video: H.264 that browsers play, with the times of the source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from d3s_vot.errors import D3SError, InputError
from d3s_vot.prediction import Prediction
from d3s_vot.video.outputs.files import begin, failed, finish, unwritable
from d3s_vot.video.outputs.output import Output
from d3s_vot.video.overlay import Image, draw
from d3s_vot.video.sources import Frame, Source

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}  # FFmpeg's names
# Seconds between ticks of the clock; Matroska counts in milliseconds whatever it is told.
CLOCKS = {"mp4": Fraction(1, 90000), "mov": Fraction(1, 90000), "matroska": Fraction(1, 1000)}
QUALITY = {"crf": "20", "preset": "veryfast"}  # of x264; slower presets look ahead, and hold, many more frames
KEY_FRAMES = 50  # frames from one to the next at most: how finely a player can jump
RATE = 25  # frames per second, for the encoder's planning, where the source does not know
BT709, LIMITED = 1, 1  # colour space, and luma from 16 to 235, in the numbers of the H.264 standard


class OverlayVideo(Output):
    """The frames with what `draw` adds, one for each that is written.

    The first frame is shown at 0 s, the others as long after it as in the source. One without image repeats the last
    picture. Pixels have the shape of the source's. Sizes are even in such a video, so an odd one grows by a pixel,
    which repeats the border.
    """

    def __init__(self, path: str | Path, source: Source, labels: Sequence[str] | None = None) -> None:
        """Begin the file.

        Args:
            path: ends in .mp4, .m4v, .mov or .mkv.
            source: of the frames, for its size and rate.
            labels: a word for each target, as for `draw`.

        Raises:
            InputError: another ending, a file that cannot be written, a size that H.264 does not have, or PyAV is
                not installed.
        """
        self._path, self._labels = Path(path), labels
        kind = CONTAINERS.get(self._path.suffix.lower())
        if kind is None:
            raise InputError(f"the overlay {self._path} must be a video; let its name end in .mp4, .mov or .mkv")
        width, height = source.size
        try:
            import av
        except ModuleNotFoundError as error:
            raise InputError("an overlay needs the package av; install d3s-vot[video]") from error
        self._errors = av.FFmpegError
        self._odd = height % 2, width % 2
        self._clock = CLOCKS[kind]
        self._picture: Image = np.zeros((height, width, 3), np.uint8)  # the last one
        self._began = 0.0  # time of the first frame
        self._tick = -1  # of the last frame; -1: there is none yet
        self._partial = begin(self._path)
        self._container: OutputContainer | None = None
        try:
            self._open(kind, source)
        except BaseException:
            self._discard()
            raise

    def _open(self, kind: str, source: Source) -> None:
        """Begin the container and its stream."""
        import av

        width, height = source.size
        options = {"movflags": "+faststart"} if kind != "matroska" else {}  # plays before it is loaded whole
        # "file:" keeps a colon in the name from being taken for a protocol.
        container = av.open(f"file:{self._partial.temporary}", "w", format=kind, container_options=options)
        self._container = container
        rate = Fraction(source.fps).limit_denominator(1001) if source.fps else RATE
        self._stream = container.add_stream("libx264", rate, dict(QUALITY))
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base, context.gop_size = self._clock, KEY_FRAMES
        context.sample_aspect_ratio = source.pixel_shape
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
        try:
            context.open()
        except av.FFmpegError as error:
            raise InputError(f"H.264 cannot hold pictures of {width} x {height} pixels; use smaller ones") from error
        try:
            container.start_encoding()
        except av.FFmpegError as error:
            raise unwritable(self._path, error.strerror) from error

    def write(self, frame: Frame, predictions: Sequence[Prediction | None]) -> None:
        if frame.image is not None:
            self._picture = frame.image
        if self._tick < 0:
            self._began = frame.time
        self._tick = max(round((frame.time - self._began) / self._clock), self._tick + 1)
        self._encode(self._coded(draw(self._picture, predictions, self._labels, time=frame.time, frame=frame.index)))

    def _coded(self, image: Image) -> VideoFrame:
        """The picture in the encoder's form, to be shown at the last tick."""
        from av import VideoFrame

        if any(self._odd):
            image = np.asarray(cv2.copyMakeBorder(image, 0, self._odd[0], 0, self._odd[1], cv2.BORDER_REPLICATE))
        picture = VideoFrame.from_ndarray(image, "rgb24").reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED
        )
        picture.pts, picture.time_base = self._tick, self._clock
        return picture

    def _encode(self, picture: VideoFrame | None) -> None:
        """Encode and write; None: what the encoder still holds."""
        if self._container is None:
            raise D3SError(f"{self._path} is closed; open another output")
        try:
            # Written so it is one step for Python: no Ctrl-C comes between and costs packets that later ones need.
            list(map(self._container.mux, map(self._stream.encode, [picture])))
        except self._errors as error:
            self._discard()
            raise failed(self._path, error.strerror) from error

    def close(self) -> None:
        """Finish the file; there is none where no frame was written, or the disk was too full for all of them.

        Raises:
            D3SError: the disk is full.
        """
        if self._container is None:
            return
        if self._tick < 0:
            self._discard()
            return
        self._encode(None)
        try:
            self._container.close()
        except self._errors as error:
            self._discard()
            raise failed(self._path, error.strerror) from error
        self._container = None
        finish(self._partial)

    def _discard(self) -> None:
        """Give up: such a file has no end, so it could not be played."""
        if self._container is not None:
            with suppress(self._errors):
                self._container.close()
        self._container = None
        self._partial.discard()
