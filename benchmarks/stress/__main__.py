"""Run trackers over the stress set: clips of what trackers fail at, with exact masks.

    python -m benchmarks.stress PICTURES --part choosing --rules weights published --seeds 3 --preset fast

PICTURES holds SET/images and SET/masks, as for training. The clips come from the videos of videos-PART.txt, made harder
in ten ways, and from scenes rendered of the held-out stills of the same part; nothing of them was trained on, if the
training held those videos out. A seed draws other scenes, occluders and directions; behind +- stands the standard
deviation over the seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.stress.clips import PARTS, Clip, backgrounds, cutouts, real_clip, video_names
from benchmarks.stress.edits import EDITS
from benchmarks.stress.measures import COLUMNS, Run, follow, summary
from benchmarks.stress.scenes import SCENES
from d3s_vot import D3SError, load_tracker
from d3s_vot.files import write_whole
from train.data.index import index
from train.data.items import Item, Source
from train.errors import DataError


def clips(root: Path, items: list[Item], part: str, seed: int, scenes: int, kinds: list[str]) -> Iterator[Clip]:
    """All clips of a part for a seed, one after the other.

    Args:
        root: the pictures.
        items: of their index.
        part: one of PARTS.
        seed: of all chance.
        scenes: rendered clips of each kind.
        kinds: names of the edits and scenes wanted; all where there are none.
    """
    things, pictures = cutouts(items, part), backgrounds(items, part)
    for number, name in enumerate(video_names(part)):
        clip = real_clip(root, name)
        for place, edit in enumerate(EDITS):
            if not kinds or edit.__name__ in kinds:
                yield edit(clip, np.random.default_rng([seed, number, place]), things)
    for place, scene in enumerate(SCENES):
        if not kinds or scene.__name__ in kinds:
            for number in range(scenes):
                yield scene(np.random.default_rng([seed, 1_000 + place, number]), things, pictures)


def table(runs: dict[int, list[Run]]) -> str:
    """The measures of each kind, with their spread over the seeds, as lines of text."""
    kinds = list(dict.fromkeys(run.kind for found in runs.values() for run in found))
    lines = []
    for kind in [*kinds, "all"]:
        rows = [summary([r for r in found if kind in (r.kind, "all")]) for found in runs.values()]
        if not lines:
            lines.append("".join([f"{'kind':14s}", *(f"{name:>19s}" for name in rows[0])]))
        cells = []
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            known = values[np.isfinite(values)]
            cells.append(f"{known.mean():10.3f} +- {known.std():.3f}" if len(known) else "-")
        lines.append("".join([f"{kind:14s}", *(f"{cell:>19s}" for cell in cells)]))
    return "\n".join(lines)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--part", choices=PARTS, default="choosing")
    parser.add_argument("--weights", default="D3S")
    parser.add_argument("--rules", nargs="+", default=["weights"], help="each is run over all clips")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scenes", type=int, default=8, help="rendered clips of each kind")
    parser.add_argument("--kinds", nargs="+", default=[], help="only these, by the names of their functions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/d3s_vot/train"))
    parser.add_argument("--json", type=Path, help="write all measures there")
    parser.add_argument("--frames", type=Path, help="write a row for each frame there, to choose thresholds by")
    options = parser.parse_args()
    known = [f.__name__ for f in (*EDITS, *SCENES)]
    if unknown := set(options.kinds) - set(known):
        parser.error(f"there is no kind {min(unknown)}; choose from {', '.join(known)}")
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    told: dict[str, dict[str, dict[str, float]]] = {}
    rows: list[str] = []
    try:
        source = Source("stills", options.pictures)
        items = index([source], cache=options.cache.expanduser(), workers=1).items
        for rules in options.rules:
            tracker = load_tracker(options.weights, "cpu", preset=options.preset, rules=rules)
            runs: dict[int, list[Run]] = {}
            for seed in range(options.seeds):
                wanted = clips(options.pictures, items, options.part, seed, options.scenes, options.kinds)
                runs[seed] = [follow(tracker.fork(), clip) for clip in wanted]
                rows.extend(f"{rules},{seed},{row}" for run in runs[seed] for row in run.rows())
                told[f"{rules}, seed {seed}"] = {
                    kind: summary([r for r in runs[seed] if kind in (r.kind, "all")])
                    for kind in [*dict.fromkeys(r.kind for r in runs[seed]), "all"]
                }
            print(f"{options.weights}, {options.preset}, rules {rules}, {options.part}\n{table(runs)}", flush=True)
    except (D3SError, DataError, OSError) as error:
        print(f"stress: {error}", file=sys.stderr)
        return 2
    if options.json:
        write_whole(options.json, json.dumps(told, indent=1).encode())
    if options.frames:
        write_whole(options.frames, "\n".join(["rules,seed," + ",".join(COLUMNS), *rows, ""]).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
