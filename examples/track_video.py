"""Follow one target in a video and print where it is, a line a frame; nothing is written.

    python examples/track_video.py bag.mp4 205,151,17,50

The first argument is a video file or a folder of pictures, the second the target's box in the first frame: left, top,
width and height in pixels, counted from 0.
"""

from __future__ import annotations

import argparse

from d3s_vot import D3SError, load_tracker
from d3s_vot.video.sources import open_source
from d3s_vot.video.targets import read_box


def track(video: str, box: str) -> None:
    """Print frame, time, box, confidence and whether the target is lost."""
    target = read_box(box)
    with open_source(video) as source:
        tracker = load_tracker()
        begun = False
        for frame in source:
            if frame.image is None:
                print(f"frame {frame.index} cannot be decoded")
            elif not begun:
                tracker.initialize(frame.image, target)
                begun = True
            else:
                prediction = tracker.track(frame.image)
                x, y, w, h = prediction.box
                print(
                    f"frame {frame.index}  {frame.time:.2f} s  box {x:.1f} {y:.1f} {w:.1f} {h:.1f}  "
                    f"confidence {prediction.confidence:.2f}{'' if prediction.visible else '  lost?'}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="video file or folder of pictures")
    parser.add_argument("box", help="x,y,w,h")
    options = parser.parse_args()
    try:
        track(options.video, options.box)
    except D3SError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
