"""Cut a target out of a video: pictures with transparency, one a frame, for an editing tool.

    python examples/masks_for_editing.py bag.mp4 first.png cutout/

first.png marks the target in the first frame: as large as it, white on the target and black elsewhere. The folder
gets 00000000.png, 00000001.png ...: the frames, transparent outside the target. Import them as an image sequence.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from d3s_vot import D3SError, load_tracker
from d3s_vot.video.follow import follow
from d3s_vot.video.sources import open_source
from d3s_vot.video.targets import read_masks

EDGE = ImageFilter.GaussianBlur(1)  # pixels; a hard edge flickers


def cut_out(video: str, mask: Path, folder: Path) -> None:
    """Write a PNG with an alpha channel for each frame; a picture that numbers several targets gives all of them."""
    targets = read_masks(mask)
    with open_source(video) as source:
        for frame, predictions in follow(source, targets, load_tracker()):
            if frame.image is not None:  # otherwise the last picture and mask stand once more
                picture = Image.fromarray(frame.image)
                inside = np.any([prediction.mask for prediction in predictions if prediction is not None], axis=0)
                picture.putalpha(Image.fromarray(inside.astype(np.uint8) * 255).filter(EDGE))
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{frame.index:08d}.png")
    print(f"{frame.index + 1} pictures in {folder}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="video file or folder of pictures")
    parser.add_argument("mask", type=Path, help="PNG that marks the target in the first frame")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    options = parser.parse_args()
    try:
        cut_out(options.video, options.mask, options.folder)
    except D3SError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
