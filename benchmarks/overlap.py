"""Average overlap without resets over a folder of sequences in VOT layout, and the time that it takes.

    python benchmarks/overlap.py FOLDER --weights D3S --json

The target is given as the ground truth gives it (rectangles counted from 1, polygons as they are); the overlap is
of axis-aligned boxes, over all frames but the first and those in which the target is absent.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from d3s_vot import D3SError, D3STracker
from d3s_vot.evaluation.vot.stored import Sequence
from d3s_vot.images import read_image
from d3s_vot.regions import box_iou, from_vot
from d3s_vot.zoo import load_model


def run(tracker: D3STracker, folder: Path) -> dict[str, float]:
    """AO, milliseconds to initialise and milliseconds a frame of one sequence (decoding excluded)."""
    sequence = Sequence.load(folder)
    truth = [None if region is None else from_vot(region) for region in sequence.truth]
    images = [sequence.frame(index) for index in range(len(truth))]
    first = read_image(images[0])
    begun = time.perf_counter()
    tracker.initialize(first, truth[0])
    initialised = time.perf_counter() - begun
    overlaps, times = [], []
    for path, region in zip(images[1:], truth[1:], strict=True):
        image = read_image(path)
        begun = time.perf_counter()
        prediction = tracker.track(image)
        box = prediction.box
        times.append(time.perf_counter() - begun)
        if region is not None:
            overlaps.append(box_iou(box, region.box))
    return {
        "frames": len(images),
        "ao": float(np.mean(overlaps)),
        "init_ms": 1e3 * initialised,
        "median_ms": 1e3 * float(np.median(times)),
        "p95_ms": 1e3 * float(np.percentile(times, 95)),
    }


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="D3S")
    parser.add_argument("--trunk-weights", type=Path)
    parser.add_argument("--preset", default="exact")
    parser.add_argument("--rules", default="weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--localization-only", action="store_true", help="no segmentation, fixed size")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    try:
        model = load_model(options.weights, options.device, options.trunk_weights, options.preset, options.rules)
        if options.localization_only:
            model.config = replace(model.config, uncertainty_segment=0)
        tracker = D3STracker(model)
        rows = {}
        for name in (options.folder / "list.txt").read_text().split():
            rows[name] = run(tracker.fork(), options.folder / name)
            print(f"{name:24s} {rows[name]['ao']:.3f}  {rows[name]['median_ms']:.1f} ms", file=sys.stderr, flush=True)
    except (D3SError, OSError) as error:
        print(f"overlap: {error}", file=sys.stderr)
        return 2
    summary = {"mean_ao": float(np.mean([r["ao"] for r in rows.values()])), "sequences": rows}
    print(json.dumps(summary, indent=1) if options.json else f"mean AO {summary['mean_ao']:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
