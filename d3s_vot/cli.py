"""The command `d3s-vot`: sample sequences, tables of results, conversion of weights.

Errors are one sentence on stderr; exit code 2 for input that cannot be used, 1 for a run that failed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from d3s_vot.errors import CheckpointError, D3SError, InputError


def _sample(options: argparse.Namespace) -> None:
    from d3s_vot.sample import write_sample

    write_sample(options.output, lambda text: print(text, flush=True))


def _results(options: argparse.Namespace) -> None:
    from d3s_vot.results import FORMATS, table

    sys.stdout.write(FORMATS[options.format](table(options.workspace, options.trackers)))


def _convert(options: argparse.Namespace) -> None:
    from d3s_vot.convert import convert_published

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
    parser.set_defaults(run=_sample)


def _add_results(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "results",
        help="table of a VOT workspace's results",
        description="Print accuracy, robustness, EAO, AO and speed of the trackers in a VOT workspace.",
        epilog="example: d3s-vot results workspace/vot2018 D3S --markdown",
    )
    parser.add_argument(
        "workspace", type=Path, metavar="WORKSPACE", help="folder with config.yaml and results/"
    )
    parser.add_argument("trackers", nargs="*", metavar="TRACKER", help="trackers to show (default: all)")
    form = parser.add_mutually_exclusive_group()
    for name in ("json", "csv", "markdown"):
        form.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"print {name}")
    parser.set_defaults(run=_results, format="text")


def _add_convert(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "convert",
        help="convert the published weights",
        description="Convert the published checkpoint of D3S to safetensors; no code in it is run.",
        epilog="example: d3s-vot convert SegmNet.pth.tar d3s.safetensors --gem-trunk resnet50.pth",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the published file, SegmNet.pth.tar")
    parser.add_argument("target", type=Path, metavar="TARGET", help="file to write, *.safetensors")
    parser.add_argument(
        "--gem-trunk",
        type=Path,
        metavar="FILE",
        help="ImageNet ResNet-50 for localisation, to carry too (default: found when it is used)",
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
    _add_sample(commands)
    _add_results(commands)
    _add_convert(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: of the command line; None: those of the process.

    Returns:
        0 for success, 1 for a failed run, 2 for input that cannot be used.
    """
    options = build_parser().parse_args(arguments)
    try:
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


if __name__ == "__main__":
    sys.exit(main())
