"""From what a user names to the source that reads it."""

from __future__ import annotations

import re
from pathlib import Path

from d3s_vot.errors import InputError
from d3s_vot.video.sources.source import Source

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
CAMERA = re.compile(r"(/dev/video)?(\d{1,3})")


def open_source(text: str | Path) -> Source:
    """Open what a user names.

    Args:
        text: a video file, a picture, a folder or glob pattern of pictures, the number of a camera ("0"), or an
            address (rtsp://, http:// ...). A file or folder of that name comes before a camera.

    Raises:
        InputError: it is not there, is no video, or gives no picture.
    """
    if not str(text).strip() or "\0" in str(text):
        raise InputError("no source is named; give a video file, a folder of pictures, a camera number or an address")
    path = Path(text)
    if isinstance(text, str):
        camera = CAMERA.fullmatch(text)
        if ADDRESS.match(text):
            from d3s_vot.video.sources.live import open_address

            return open_address(text)
        if camera and (camera[1] or not path.exists()):
            from d3s_vot.video.sources.live import open_camera

            return open_camera(int(camera[2]))
    from d3s_vot.video.sources.pictures import SUFFIXES, Pictures

    if path.is_dir():
        return Pictures.of_folder(path)
    if path.exists():
        if path.suffix.lower() in SUFFIXES:
            from d3s_vot.video.sources.stacks import open_pictures

            return open_pictures(path)
        from d3s_vot.video.sources.recording import open_recording

        return open_recording(path)
    if any(letter in str(path) for letter in "*?["):
        return Pictures.of_pattern(str(path))
    raise InputError(f"there is no video or folder {path}; check the path")
