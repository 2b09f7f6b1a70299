"""The command `d3s-vot`: videos, VOT workspaces and their results, speed, conversion of weights.

Errors are one sentence on stderr; exit code 2 for input that cannot be used, 1 for a run that failed or was told to
end, by Ctrl-C, SIGTERM or a closed terminal.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from d3s_vot.arguments import add_network, add_place, chosen, whole_number
from d3s_vot.cli.workspace import add_workspace
from d3s_vot.compare.command import add_compare
from d3s_vot.errors import CheckpointError, D3SError, InputError
from d3s_vot.interrupts import interruptible
from d3s_vot.plots.command import add_plots
from d3s_vot.video.command import add_track
from d3s_vot.web.command import add_web


def _sample(options: argparse.Namespace) -> None:
    from d3s_vot.sample.write import write_sample

    write_sample(options.output, lambda text: print(text, flush=True), options.kind)


def _evaluate(options: argparse.Namespace) -> None:
    from d3s_vot.evaluation.vot.experiments import evaluate

    evaluate(
        options.workspace,
        options.trackers,
        experiments=options.experiments,
        workers=options.workers,
        threads=options.threads,
        ray=options.ray,
        say=lambda text: print(text, flush=True),
    )


def _results(options: argparse.Namespace) -> None:
    if options.html is not None:
        from d3s_vot.evaluation.vot.results_page import write_page

        target = Path(options.html) if options.html else options.workspace / "results.html"
        write_page(options.workspace, options.trackers, target)
        print(f"{target} written")
        return
    from d3s_vot.evaluation.vot.results import table
    from d3s_vot.evaluation.vot.results_table import FORMATS

    sys.stdout.write(FORMATS[options.format](table(options.workspace, options.trackers)))


def _convert(options: argparse.Namespace) -> None:
    from d3s_vot.trackers.convert import convert_published

    convert_published(options.source, options.target, options.gem_trunk)
    print(f"{options.target} written")


def _add_sample(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "sample",
        help="render short sequences with exact ground truth",
        description="Render short sequences in VOT layout from the photographs in scikit-image's package.",
        epilog="example: d3s-vot sample --output workspace/sequences",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("workspace/sequences"),
        metavar="FOLDER",
        help="folder of sequences (default: %(default)s); those that are there already are kept",
    )
    parser.add_argument(
        "--kind",
        choices=("boxes", "anchors", "objects"),
        default="boxes",
        help="boxes: rectangles and polygons; anchors: masks, and where runs start (VOT2020); objects: masks of "
        "several (VOTS) (default: %(default)s)",
    )
    parser.set_defaults(run=_sample)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="run the experiments of a VOT workspace, several sequences at once",
        description="Run what is not finished of a VOT workspace's experiments; the results are those of `vot "
        "evaluate`. A sequence that fails is reported at the end, and the same command goes on with the rest.",
        epilog="example: d3s-vot evaluate workspace/vot2018 D3S --workers 4",
    )
    parser.add_argument("workspace", type=Path, metavar="WORKSPACE", help="folder with config.yaml")
    parser.add_argument("trackers", nargs="+", metavar="TRACKER", help="names in the workspace's registry")
    parser.add_argument(
        "--experiments",
        type=lambda text: text.split(","),
        metavar="A,B",
        help="names in the workspace's stack (default: all)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="sequences at once, here (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads of each D3S (default: D3S_VOT_THREADS, else a worker's share of the processors)",
    )
    parser.add_argument("--ray", metavar="ADDRESS", help="run on this Ray cluster; it must see the same folders")
    parser.set_defaults(run=_evaluate)


def _add_results(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "results",
        help="table of a VOT workspace's results",
        description="Print the measures of the trackers in a VOT workspace: accuracy, robustness and EAO, or those of "
        "long-term runs or of several objects, and speed.",
        epilog="example: d3s-vot results workspace/vot2018 D3S --markdown",
    )
    parser.add_argument(
        "workspace", type=Path, metavar="WORKSPACE", help="folder with config.yaml and results/"
    )
    parser.add_argument("trackers", nargs="*", metavar="TRACKER", help="trackers to show (default: all)")
    form = parser.add_mutually_exclusive_group()
    for name in ("json", "csv", "markdown"):
        form.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"print {name}")
    form.add_argument(
        "--html",
        nargs="?",
        const="",
        metavar="FILE",
        help="write one page with curves and frames (default: WORKSPACE/results.html); TRACKER comes before it",
    )
    parser.set_defaults(run=_results, format="text")


def _bench(options: argparse.Namespace) -> None:
    from d3s_vot.cli.bench import bench, text

    result = bench(options.sequence, chosen(options), threads=options.threads, frames=options.frames)
    sys.stdout.write(json.dumps(result, indent=1) + "\n" if options.json else text(result))


def _add_bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "bench",
        help="time of initialisation and of a frame, stage by stage",
        description="Measure how long initialisation and frames take on this machine, stage by stage.",
        epilog="example: d3s-vot bench workspace/sequences/cat --preset fast --threads 2 --json",
    )
    parser.add_argument(
        "sequence", nargs="?", type=Path, metavar="SEQUENCE", help="folder in VOT layout (default: one is rendered)"
    )
    parser.add_argument("--frames", type=whole_number, metavar="N", help="as many; a short sequence is repeated")
    parser.add_argument("--json", action="store_true", help="print JSON; fps is frames per second in all")
    tracker = parser.add_argument_group("the tracker")
    add_network(tracker)
    add_place(tracker)
    parser.set_defaults(run=_bench)


def _trackers(options: argparse.Namespace) -> None:
    from d3s_vot.cli.trackers import as_json, as_text

    sys.stdout.write(as_json() if options.json else as_text())


def _add_trackers(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "trackers",
        help="what trackers there are",
        description="List the trackers: paper, masks or boxes, weights at hand or how to get them, published results, "
        "measured speed.",
        epilog="example: d3s-vot track video.mp4 --box 10,20,40,30 --tracker D3S",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_trackers)


def _add_convert(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert",
        help="convert published weights",
        description="Convert a published checkpoint, of whichever tracker, to safetensors; no code in it is run.",
        epilog="example: d3s-vot convert SegmNet.pth.tar d3s.safetensors --gem-trunk resnet50.pth",
    )
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="the published file, SegmNet.pth.tar or siamfcpp-*.pkl"
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="TARGET",
        help="file to write, *.safetensors; named after a published configuration, it gets its rules",
    )
    parser.add_argument(
        "--gem-trunk",
        type=Path,
        metavar="FILE",
        help="D3S: ImageNet ResNet-50 for localisation, to carry too (default: found when it is used)",
    )
    parser.set_defaults(run=_convert)


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="d3s-vot",
        description="D3S, the discriminative single-shot segmentation tracker.",
        epilog="example: d3s-vot results workspace",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_track(commands)
    add_web(commands)
    add_compare(commands)
    add_plots(commands)
    _add_sample(commands)
    add_workspace(commands)
    _add_evaluate(commands)
    _add_results(commands)
    _add_bench(commands)
    _add_trackers(commands)
    _add_convert(commands)
    return parser


@contextmanager
def _messages_shown() -> Iterator[None]:
    """What the package logs goes to stderr, from what takes long (INFO) upwards."""
    logger, handler = logging.getLogger("d3s_vot"), logging.StreamHandler()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: of the command line; None: those of the process.

    Returns:
        0 for success, 1 for a run that failed or was told to end, 2 for input that cannot be used.
    """
    options = build_parser().parse_args(arguments)
    try:
        with interruptible(), _messages_shown():
            options.run(options)
    except (InputError, CheckpointError) as error:
        print(f"d3s-vot: {error}", file=sys.stderr)
        return 2
    except (D3SError, OSError) as error:
        print(f"d3s-vot: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("d3s-vot: interrupted", file=sys.stderr)
        return 1
    return 0

