"""From packets to pictures: the order and times of presentation, and a place for each frame that is damaged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

REORDER = 16  # frames: the farthest that H.264 and HEVC move one
WAIT = 250  # packets without a key frame at the beginning: after these, take what comes
STEP = Fraction(1, 25)  # seconds between frames of unknown rate
TINY = Fraction(1, 1000)  # seconds between frames that claim the same time
EXTREME = 10  # times as wide as high, or the reverse: a pixel that is none of a video's
JUMP = 1  # seconds back that mean: the clock of the recording began anew


@dataclass(eq=False)
class _Sent:
    """A packet on its way through the decoder; the frame that comes out of it carries this along."""

    order: int
    pts: int | None
    stamp: int | None  # what its time is made of
    failed: bool = False
    given: bool = False


class Decoder:
    """Time and picture of each frame of a video stream; holds only what the decoder holds.

    Frames in = frames out: each packet of the container is one frame, and one that gives no picture comes as None.
    A torn picture that the decoder patched up is used: something of the target is better than nothing. One that the
    decoder itself holds back, as HEVC does with grey ones made without their reference, is None.

    Attributes:
        fps: nominal rate; 0: unknown.
        count: frames in all, where the container's index holds them all, otherwise None.
        stated: frames that the container's header speaks of, even where its index is cut off; 0: it does not.
        length: seconds that the container states; None: it does not.
        lost: frames that could not be decoded so far.
        stopped: why reading ended before the end; None: it did not.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        from av.codec.context import Flags

        self._container, self._stream = container, stream
        context = stream.codec_context
        context.thread_type = "SLICE"  # threads by frame hold a picture each and blame the wrong packet for an error
        context.flags |= Flags.copy_opaque
        rate = stream.average_rate or stream.guessed_rate
        self.fps = float(rate) if rate else 0.0
        index = [entry for entry in stream.index_entries if entry.size and not entry.is_discard]
        self.count = len(index) if stream.frames and stream.frames <= len(stream.index_entries) else None
        self.stated = stream.frames if self.count is None else self.count
        self.length = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None
        self.lost = 0
        self.stopped: str | None = None
        # Packets without a frame and without an error are no loss here: hidden reference frames, second fields.
        self._quiet = context.name == "vp8" or context.field_order > 1
        self._begins_anywhere = not len(stream.index_entries)  # cut out of a broadcast, or a camera's stream
        self._trusted = container.format.name != "avi"  # which stores no times of presentation
        self._pending: list[_Sent] = []
        self._stamps: list[int] = []
        # Once for each angle: a frame whose side data was looked at stays in memory until the garbage collector runs.
        self._matrices: dict[int, tuple[int, int, int, int]] = {}
        self._step = 1 / Fraction(rate) if rate else STEP
        self._dts: int | None = None
        self._offset = 0
        self._shift: Fraction | None = None
        self._last = -self._step

    @property
    def pixel_shape(self) -> Fraction:
        """Width over height of a pixel as it is shown, in upright pictures; known with the first of these."""
        shape = self._stream.sample_aspect_ratio
        if not shape or not 1 / EXTREME <= shape <= EXTREME:
            return Fraction(1)
        shape = Fraction(shape).limit_denominator(1000)
        return 1 / shape if any(abs(b) > abs(a) for a, b, _, _ in self._matrices.values()) else shape

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        import av

        for packet, sent in self._packets():
            try:
                frames = self._stream.decode(packet)
            except av.FFmpegError:
                sent.failed = True
                continue
            for frame in frames:
                yield from self._placed(frame)
        try:
            frames = self._stream.decode(None)
        except av.FFmpegError:  # nothing to come; the rest is lost
            frames = []
        for frame in frames:
            yield from self._placed(frame)
        for sent in sorted(self._pending, key=lambda sent: (sent.stamp is None, sent.stamp)):
            yield from self._given(sent, None)

    def _packets(self) -> Iterator[tuple[Packet, _Sent]]:
        """The packets; those that promise a frame are pending."""
        import av

        order, waited = 0, 0
        first: int | None = None
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.ExitError:  # what an exceeded time limit is called
                self.stopped = "no answer"
                return
            except av.FFmpegError as error:
                self.stopped = error.strerror or type(error).__name__
                return
            if not packet.size:
                continue
            if order == 0 and self._begins_anywhere and not packet.is_keyframe and waited < WAIT:
                waited += 1
                continue
            pts, dts = self._joined(packet)
            stamp = pts if self._trusted and pts is not None else dts
            packet.opaque = sent = _Sent(order, pts, stamp)
            if order == 0:
                first = pts
            # Frames shown before the first key frame need pictures that were cut away.
            cut = order <= REORDER and first is not None and pts is not None and pts < first
            order += 1
            if not packet.is_discard and not (self._trusted and cut):
                self._pending.append(sent)
                if stamp is not None:
                    self._stamps.append(stamp)
            yield packet, sent

    def _joined(self, packet: Packet) -> tuple[int | None, int | None]:
        """Times of presentation and decoding; where recordings were put end to end, the later ones go on."""
        if packet.dts is not None and self._stream.time_base is not None:
            dts = packet.dts + self._offset
            if self._dts is not None and (self._dts - dts) * self._stream.time_base > JUMP:
                self._offset += self._dts - dts + round(self._step / self._stream.time_base)
            self._dts = packet.dts + self._offset
        pts = None if packet.pts is None else packet.pts + self._offset
        return pts, None if packet.dts is None else packet.dts + self._offset

    def _placed(self, frame: VideoFrame) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        """The frame, after those before it that never came."""
        sent = frame.opaque
        if not isinstance(sent, _Sent) or sent not in self._pending:
            if isinstance(sent, _Sent) and sent.given:  # as lost, too early: the container's times are wrong
                self._trusted = False
            return
        for other in [other for other in self._pending if self._is_lost(other, sent)]:
            yield from self._given(other, None)
        if frame.rotation not in self._matrices:
            self._matrices[frame.rotation] = display_matrix(frame)
        yield from self._given(sent, picture(frame, self._matrices[frame.rotation]))

    def _is_lost(self, other: _Sent, arrived: _Sent) -> bool:
        """Whether a pending frame should have come before the one that arrived."""
        if self._trusted and other.pts is not None and arrived.pts is not None:
            return other.pts < arrived.pts
        return other.order < arrived.order - (0 if other.failed else 2 * REORDER)

    def _given(self, sent: _Sent, image: NDArray[np.uint8] | None) -> Iterator[tuple[float, NDArray[np.uint8] | None]]:
        self._pending.remove(sent)
        sent.given = True
        if image is None and self._quiet and not sent.failed:
            if sent.stamp is not None:
                self._stamps.remove(sent.stamp)
            return
        self.lost += image is None
        stamp = min(self._stamps, default=None)  # in order whatever the order of the packets
        if stamp is not None:
            self._stamps.remove(stamp)
        yield float(self._time(stamp)), image

    def _time(self, stamp: int | None) -> Fraction:
        """Seconds since the first frame, increasing."""
        regular = self._last + self._step
        time = regular
        if stamp is not None and self._stream.time_base is not None:
            shown = stamp * self._stream.time_base
            if self._shift is None:
                self._shift = regular - shown
            time = max(shown + self._shift, self._last + TINY)
        self._last = time
        return time


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d): a stored pixel (x, y) is shown at (a x + c y, b x + d y); only signs and zeros count."""
    from av.sidedata.sidedata import Type

    try:
        found: Any = frame.side_data  # PyAV's stub takes it for a dictionary of other things
    except ValueError:  # a kind that PyAV does not know is among them; that the picture is mirrored is lost, too
        angle = math.radians(frame.rotation)
        a, b = round(math.cos(angle)), -round(math.sin(angle))
        return a, b, -b, a
    for data in found:
        if data.type is Type.DISPLAYMATRIX:
            a, b, _, c, d = (int(number) for number in np.frombuffer(bytes(data), "<i4")[:5])
            return a, b, c, d
    return 1, 0, 0, 1


def picture(frame: VideoFrame, matrix: tuple[int, int, int, int]) -> NDArray[np.uint8] | None:
    """H x W x 3 RGB, turned by the matrix; None where the pixels are in a form that cannot be converted."""
    import av

    try:
        image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, ValueError):
        return None
    a, b, c, d = matrix
    if abs(b) > abs(a):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
