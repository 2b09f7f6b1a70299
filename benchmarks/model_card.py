"""The pictures of docs/weights.md: curves of a training run, and a sheet of tracked frames.

    python benchmarks/model_card.py benchmarks/training-D3S.csv workspace/sequences docs/pictures

Sequences are in VOT layout; the first four of `list.txt` are tracked from their first box, in the rules of the weights.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray

from d3s_vot import D3SError, D3STracker, InputError, load_tracker
from d3s_vot.evaluation.vot.stored import Sequence
from d3s_vot.files import write_whole
from d3s_vot.images import read_image
from d3s_vot.regions import from_vot
from d3s_vot.video.overlay import draw

matplotlib.use("agg")
from matplotlib import pyplot as plt

SEQUENCES, FRAMES = 4, 4  # rows and columns of the sheet
HEIGHT = 180  # pixels of a frame on the sheet


def curves(log: Path) -> bytes:
    """Loss and validation IoU over the iterations, as PNG."""
    with log.open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    left.plot([r["iteration"] for r in rows], [r["loss"] for r in rows], color="#0077bb")
    left.set(xlabel="iteration", ylabel="loss", ylim=(0, None), title="training pairs")
    # A row repeats the latest score until the next one.
    scored = [r for r, before in zip(rows[1:], rows, strict=False) if r["validation_iou"] != before["validation_iou"]]
    scored = [r for r in scored if r["validation_iou"] == r["validation_iou"]]
    right.plot([r["iteration"] for r in scored], [r["validation_iou"] for r in scored], "o-", color="#ee7733")
    right.set(xlabel="iteration", ylabel="mean IoU", ylim=(0, 1), title="held-out pairs")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def strip(tracker: D3STracker, folder: Path) -> NDArray[np.uint8]:
    """Frames of one sequence, evenly spaced to its end, with what the tracker found: HEIGHT x W x 3 RGB."""
    sequence = Sequence.load(folder)
    if sequence.truth[0] is None:
        raise InputError(f"{folder} does not show its target in the first frame; take another sequence")
    images = [sequence.frame(number) for number in range(len(sequence.truth))]
    shown = np.linspace(0, len(images) - 1, FRAMES + 1).round()[1:]
    tracker.initialize(read_image(images[0]), from_vot(sequence.truth[0]))
    tiles = []
    for number, path in enumerate(images[1:], 1):
        image = read_image(path)
        prediction = tracker.track(image)
        if number in shown:
            drawn = draw(image, [prediction])
            width = round(HEIGHT * image.shape[1] / image.shape[0])
            tiles.append(cv2.resize(drawn, (width, HEIGHT), interpolation=cv2.INTER_AREA))
    return np.asarray(np.hstack(tiles), np.uint8)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("sequences", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    try:
        tracker = load_tracker("D3S")
        names = (options.sequences / "list.txt").read_text().split()[:SEQUENCES]
        rows = [strip(tracker.fork(), options.sequences / name) for name in names]
        width = max(row.shape[1] for row in rows)
        sheet = np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])
        coded = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
        write_whole(options.output / "training-D3S.png", curves(options.log))
        write_whole(options.output / "tracked-D3S.jpg", coded)
    except (D3SError, OSError) as error:
        print(f"model_card: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
