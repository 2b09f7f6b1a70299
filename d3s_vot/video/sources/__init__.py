"""Where frames come from: a video file, a folder or glob of pictures, a camera, an address; one frame at a time."""

from d3s_vot.video.sources.open import open_source
from d3s_vot.video.sources.source import Frame, Source
from d3s_vot.video.sources.start import Start, parse_start

__all__ = ["Frame", "Source", "Start", "open_source", "parse_start"]
