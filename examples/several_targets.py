"""Follow two targets in one video and draw their masks into a new one.

    python examples/several_targets.py bag.mp4 205,151,17,50 40,60,30,30 bag-tracked.mp4

The boxes are left, top, width and height in the first frame, in pixels counted from 0. The networks are loaded once:
`follow` gives each target a fork of the tracker, and all of them share the work of a frame. For targets that begin
later, or are corrected on the way, see `Follower` in d3s_vot/video/follow.py; for frames from elsewhere,
`d3s_vot.track_together`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from d3s_vot import D3SError, load_tracker
from d3s_vot.video.follow import follow
from d3s_vot.video.outputs import open_outputs
from d3s_vot.video.sources import open_source
from d3s_vot.video.targets import read_box


def track(video: str, boxes: list[str], overlay: Path) -> None:
    """Write the overlay and print in how many frames each target was seen."""
    targets = [read_box(box) for box in boxes]
    seen = [0] * len(targets)
    frames = 0
    with open_source(video) as source, open_outputs(source, overlay=overlay) as outputs:
        for frame, predictions in follow(source, targets, load_tracker()):
            outputs.write(frame, predictions)
            frames += 1
            for k, prediction in enumerate(predictions):
                seen[k] += prediction is not None and prediction.visible
    for k, count in enumerate(seen, start=1):
        print(f"target {k}: visible in {count} of {frames} frames")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="video file or folder of pictures")
    parser.add_argument("boxes", nargs=2, help="x,y,w,h of each target")
    parser.add_argument("overlay", type=Path, help="video to write, .mp4, .mov or .mkv")
    options = parser.parse_args()
    try:
        track(options.video, options.boxes, options.overlay)
    except D3SError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
