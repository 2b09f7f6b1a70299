"""The command `d3s-vot compare`: several trackers on one video, as a film, a table and a page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from d3s_vot.arguments import add_place, shown_names
from d3s_vot.compute.threads import use_threads
from d3s_vot.errors import InputError
from d3s_vot.interrupts import uninterrupted
from d3s_vot.presets import PRESETS

if TYPE_CHECKING:
    from d3s_vot.regions import Region
    from d3s_vot.tracker import Tracker

FILM, PAGE = "film.mp4", "index.html"
EXAMPLES = """examples:
  d3s-vot compare bag.mp4 --box 205,151,17,50 --trackers D3S ECO-lite0 --output compared
  d3s-vot compare sequences/bag --trackers D3S DiMP-50 --output compared     in VOT layout, with its truth
Exit code 0: done; 1: the run failed or was interrupted; 2: what is given cannot be used."""


def add_compare(commands: argparse._SubParsersAction) -> None:
    """The command's grammar."""
    parser = commands.add_parser(
        "compare",
        help="several trackers on one video: film, table and page",
        description="Follow one target with several trackers. FOLDER gets film.mp4 with a colour for each,\n"
        "frames.csv, and index.html: figures, curves, and the frames where they lose the target or part.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="video file, folder or quoted glob of pictures, or a sequence in VOT layout"
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--box", metavar="X,Y,W,H", help="the target in the first frame (default: the truth's)")
    target.add_argument("--mask", type=Path, metavar="FILE", help="the same as a picture of a frame's size")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="a region a line, as VOT has it (default: SOURCE/groundtruth.txt)"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FOLDER", help="new, or of an earlier comparison"
    )
    tracker = parser.add_argument_group("the trackers")
    tracker.add_argument(
        "--trackers", nargs="+", required=True, metavar="NAME", help="see `d3s-vot trackers`, or files of weights"
    )
    tracker.add_argument("--preset", choices=PRESETS, default="exact", help="of all (default: %(default)s)")
    add_place(tracker)
    parser.set_defaults(run=compare)


def compare(options: argparse.Namespace) -> None:
    """Run the command.

    Args:
        options: of `add_compare`.

    Raises:
        InputError: the source, the target, the truth or a tracker cannot be used.
        CheckpointError: weights cannot be used.
        D3SError: it was interrupted, or a tracker failed; what is written holds the frames so far. Or the disk is
            full, and an earlier comparison stays.
    """
    from d3s_vot.compare.page import write_comparison
    from d3s_vot.compare.race import Courses, race
    from d3s_vot.locks import locked
    from d3s_vot.video.outputs import Outputs
    from d3s_vot.video.outputs.encoding import OverlayVideo
    from d3s_vot.video.sources import open_source
    from d3s_vot.video.targets import check_targets
    from d3s_vot.video.writing import write_answers

    names = shown_names(options.trackers)
    folder = Path(options.source)
    in_vot_layout = (folder / "groundtruth.txt").is_file()
    truth_file = options.truth or (folder / "groundtruth.txt" if in_vot_layout else None)
    pictures = folder / "color" if (folder / "color").is_dir() else options.source
    with open_source(pictures) as source:
        if source.live:
            raise InputError(f"{source.name} has no end; record it, and compare on the file")
        width, height = source.size
        truth = None if truth_file is None else _read_truth(truth_file, height, width)
        region = _target(options, truth)
        check_targets([region], source.size, source.name)
        trackers = _load(options, names)
        with locked(options.output):
            with uninterrupted():
                OverlayVideo(options.output / FILM, source, names).close()  # says what cannot be written
            courses, answers = race(source, region, trackers)
            with _renewed(options.output) as new:
                try:
                    with uninterrupted():  # between the first file and the last frame
                        output = Outputs()
                        output.add(OverlayVideo(new / FILM, source, names))
                        output.add(Courses(courses))
                        write_answers(answers, output, source.count, labels=names)
                finally:
                    if (new / FILM).is_file():
                        write_comparison(new, folder.resolve().name, courses, truth, new / FILM)
    frames = len(courses[0].shapes)
    if truth is not None and len(truth) != frames:
        print(f"{truth_file} has {len(truth)} lines for {frames} frames; is it of this video?", file=sys.stderr)
    print(f"{options.output / PAGE} written")


@contextmanager
def _renewed(folder: Path) -> Iterator[Path]:
    """A folder for what is to stand in another, and is moved there when the last of it is written.

    A run that is killed before leaves the earlier files; only between the moves, file by file, could it leave both.
    """
    new = folder / ".new"
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    new.mkdir()
    try:
        yield new
    finally:
        with uninterrupted():
            if (new / PAGE).is_file():  # the last to be written
                for file in sorted(new.iterdir()):
                    os.replace(file, folder / file.name)
            shutil.rmtree(new, ignore_errors=True)


def _target(options: argparse.Namespace, truth: list[Region | None] | None) -> Region:
    """As given, or the truth's in the first frame."""
    from d3s_vot.video.targets import read_box, read_masks

    if options.box is not None:
        return read_box(options.box)
    if options.mask is not None:
        masks = read_masks(options.mask)
        if len(masks) > 1:
            raise InputError(f"{options.mask} has {len(masks)} targets; compare on one")
        return masks[0]
    if truth is None:
        raise InputError("no target is given; add --box x,y,w,h, --mask FILE, or --truth FILE whose first line has it")
    first = truth[0]
    assert first is not None  # refused where it was read
    return first


def _read_truth(path: Path, height: int, width: int) -> list[Region | None]:
    from d3s_vot.evaluation.vot.stored import as_given, read_truth

    return [None if region is None else as_given(region, height, width) for region in read_truth(path)]


def _load(options: argparse.Namespace, names: list[str]) -> dict[str, Tracker]:
    from d3s_vot.zoo import Choice

    use_threads(options.threads)
    choices = [Choice(tracker, options.device, options.preset) for tracker in options.trackers]
    return {name: choice.load_tracker() for name, choice in zip(names, choices, strict=True)}
