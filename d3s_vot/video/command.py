"""The command `d3s-vot track`: targets in your own video, followed frame by frame into files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from d3s_vot.arguments import add_network, add_place, chosen
from d3s_vot.compute.threads import use_threads
from d3s_vot.errors import InputError
from d3s_vot.interrupts import uninterrupted

# What follows needs OpenCV or torch, which take long to import and which other commands do not need.
if TYPE_CHECKING:
    from d3s_vot.regions import Region
    from d3s_vot.tracker import Tracker
    from d3s_vot.video.outputs import Output
    from d3s_vot.video.sources import Source

PRINTED = Path("-")  # as an output: standard output
EXAMPLES = """examples:
  d3s-vot track bag.mp4 --box 205,151,17,50 --overlay bag-tracked.mp4 --csv bag.csv
  d3s-vot track frames/ --select --masks masks/                 pictures in, a mask for each out
  d3s-vot track bag.mp4 --start 1:02.5 --box 205,151,17,50 --box 40,60,30,30 --jsonl two.jsonl
  d3s-vot track "shots/*.png" --mask first.png --coco masks.json
  d3s-vot track 0 --select --overlay camera.mp4                 a camera, until Ctrl-C
  d3s-vot track bag.mp4 --box 205,151,17,50 > bag.csv
Ctrl-C, SIGTERM and a closed terminal finish the files.
Exit code 0: done; 1: the run failed or was interrupted; 2: what is given cannot be used."""


def add_track(commands: argparse._SubParsersAction) -> None:
    """The command's grammar."""
    parser = commands.add_parser(
        "track",
        help="follow targets in your own video",
        description="Follow targets in a video, pictures or a camera; write masks, boxes and a video to look at.\n"
        "Pixels count from 0 at the top left.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="video file, folder or quoted glob of pictures, camera number (0), or address (rtsp://...)",
    )
    targets = parser.add_argument_group("the targets, as they are in the first frame; several are allowed")

    def add_target(kind: str, metavar: str, text: str) -> None:
        targets.add_argument(
            f"--{kind}", dest="targets", action="append", type=lambda given: (kind, given), metavar=metavar, help=text
        )

    add_target("box", "X,Y,W,H", "left, top, width and height (a negative X: --box=-5,10,40,30)")
    add_target("polygon", "X1,Y1,...", "three corners or more")
    add_target("mask", "FILE", "picture of a frame's size: 0 and 255, or 0 and 1..N for N targets")
    targets.add_argument("--select", action="store_true", help="draw a box in a window")
    targets.add_argument(
        "--start", metavar="FRAME|TIME", help="begin there: 120 is a frame, 12.5s and 1:02.5 are times (default: 0)"
    )
    outputs = parser.add_argument_group("what to write (default: the rows of --csv to standard output)")
    outputs.add_argument("--overlay", type=Path, metavar="FILE", help="video with masks drawn in, .mp4, .mov or .mkv")
    masks = outputs.add_mutually_exclusive_group()
    masks.add_argument(
        "--masks", type=Path, metavar="FOLDER", help="empty or new; a PNG per frame, white on the target or its number"
    )
    masks.add_argument(
        "--coco", type=_json_path, dest="masks", metavar="FILE", help="all masks in one file, *.json, as COCO's RLE"
    )
    outputs.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="frame, time, box, corners, confidence, visible; a row for each target; -: to standard output",
    )
    outputs.add_argument("--jsonl", type=Path, metavar="FILE", help="the same as JSON, a line for each target")
    outputs.add_argument("--vot", type=Path, metavar="FILE", help="regions as the VOT toolkit has them, 1-based boxes")
    tracker = parser.add_argument_group("the tracker")
    add_network(tracker)
    add_place(tracker)
    parser.set_defaults(run=track)


def _json_path(text: str) -> Path:
    if not text.endswith(".json"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .json")
    return Path(text)


def track(options: argparse.Namespace) -> None:
    """Run the command; what cannot be used is found before the network is loaded, as far as that can be.

    Args:
        options: of `add_track`.

    Raises:
        InputError: the source, a target or an output cannot be used.
        CheckpointError: the weights cannot be used.
        D3SError: it was interrupted, or the disk is full; the files hold the frames so far.
    """
    from d3s_vot.video.sources import open_source, parse_start
    from d3s_vot.video.targets import check_display, check_targets, select_box

    if options.select and options.targets:
        raise InputError("--select draws the target; leave out --box, --polygon and --mask, or --select")
    if not options.select and not options.targets:
        raise InputError("no target is given; add --box x,y,w,h, --polygon, --mask FILE or --select")
    targets = _read_targets(options.targets or [])
    if options.select:
        check_display()
    with open_source(options.source) as source:
        # A device's first picture is old once the network is loaded; the next one is taken then.
        start = parse_start(options.start or ("1" if source.live else "0"), source)
        check_targets(targets, source.size, source.name)
        with uninterrupted():
            _open_outputs(options, source).close()  # says what cannot be written, and leaves nothing
        if options.masks is not None:
            chosen(options).demand_masks("--masks", "leave it out, and --coco too")
        tracker = _load(options)
        from d3s_vot.video.follow import find_start, follow_from
        from d3s_vot.video.writing import write_answers

        first = find_start(source, start)
        if options.select and first.image is not None:
            targets = [select_box(first.image)]
        answers = follow_from(first, source, targets, tracker)
        left = None if source.count is None else source.count - first.index
        with uninterrupted():  # between the first file and the last frame
            write_answers(answers, _open_outputs(options, source), left, endless=source.live)


def _read_targets(given: Sequence[tuple[str, str]]) -> list[Region]:
    """Those of `--box`, `--polygon` and `--mask`, in the order of the command line."""
    from d3s_vot.video.targets import read_box, read_masks, read_polygon

    targets: list[Region] = []
    for kind, text in given:
        if kind == "mask":
            targets += read_masks(Path(text))
        else:
            targets.append(read_box(text) if kind == "box" else read_polygon(text))
    return targets


def _load(options: argparse.Namespace) -> Tracker:
    use_threads(options.threads)
    return chosen(options).load_tracker()


def _open_outputs(options: argparse.Namespace, source: Source) -> Output:
    from d3s_vot.video.outputs import open_outputs
    from d3s_vot.video.writing import PrintedCsv

    files = {name: getattr(options, name) for name in ("overlay", "masks", "csv", "jsonl", "vot")}
    printed = files["csv"] == PRINTED or not any(files.values())
    if files["csv"] == PRINTED:
        files["csv"] = None
    for name, path in files.items():
        if path == PRINTED:
            raise InputError(f"--{name} cannot go to standard output, which takes --csv alone; name a file")
    outputs = open_outputs(source, **files)
    if printed:
        outputs.add(PrintedCsv())
    return outputs
