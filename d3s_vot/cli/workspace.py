"""`d3s-vot workspace`: a VOT workspace of one's own videos with masks."""

from __future__ import annotations

import argparse
from pathlib import Path

from d3s_vot.errors import InputError


def add_workspace(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "workspace",
        help="make a VOT workspace of videos with masks",
        description="Make a VOT workspace of DAVIS, YouTube-VOS or your own frames and masks, "
        "FOLDER/images/VIDEO/*.jpg and FOLDER/masks/VIDEO/*.png. All is checked before anything is written.",
        epilog="example: d3s-vot workspace DAVIS --output workspace/davis --kind objects",
    )
    parser.add_argument("source", type=Path, metavar="FOLDER", help="the data set, or the folder of one video")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="WORKSPACE", help="folder to make; it is not there yet, or empty"
    )
    parser.add_argument(
        "--kind",
        choices=("anchors", "longterm", "objects"),
        default="anchors",
        help="anchors: one object, started every 50 frames (VOT2020); longterm: one object, precision and recall; "
        "objects: several at a time (VOTS) (default: %(default)s)",
    )
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="take the videos named there, one a line (default: all)"
    )
    parser.add_argument(
        "--tracker",
        action="append",
        metavar="NAME",
        help="for its trackers.ini: a tracker's name or file of weights; may be repeated (default: D3S)",
    )
    parser.add_argument("--fps", type=float, default=30, metavar="N", help="the videos' pace (default: %(default)s)")
    parser.add_argument(
        "--window",
        type=_window,
        metavar="LOW,HIGH",
        help="lengths that the EAO goes over (default: the middle half of the runs' lengths)",
    )
    parser.add_argument("--copy", action="store_true", help="copy the images (default: link to them)")
    parser.set_defaults(run=_run)


def _window(text: str) -> tuple[int, int]:
    low, high = map(int, text.split(","))
    return low, high


_window.__name__ = "pair of lengths"  # argparse says "invalid ... value"


def _run(options: argparse.Namespace) -> None:
    from d3s_vot.evaluation.vot.new_workspace import make_workspace

    names = None
    if options.list is not None:
        try:
            names = [line.strip() for line in options.list.read_text("utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{options.list} cannot be read as a list of videos ({error})") from None
        if not names:
            raise InputError(f"{options.list} lists no video")
    make_workspace(
        options.source,
        options.output,
        kind=options.kind,
        names=names,
        trackers=options.tracker or ("D3S",),
        fps=options.fps,
        window=options.window,
        copy=options.copy,
        say=lambda text: print(text, flush=True),
    )
