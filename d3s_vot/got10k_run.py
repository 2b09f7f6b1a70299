"""D3S on GOT-10k, TrackingNet, DAVIS and the got10k toolkit's other data sets.

`D3STracker` is a tracker for the got10k toolkit's own experiments:

    from got10k.experiments import ExperimentGOT10k
    ExperimentGOT10k(root, subset="val").run(D3STracker())

The command `python -m d3s_vot.got10k_run` needs no script, can be told to end or killed and goes on, uses several
processes or a cluster, and makes the report or the submission:

    python -m d3s_vot.got10k_run --dataset got10k-val --root GOT-10k --output runs

Exit code 0: done. 1: the run failed, or some sequences did, and the same command goes on with it. 2: the data, the
output folder, the weights or a setting cannot be used; nothing was tracked. One sentence on stderr says why.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if __name__ == "__main__":
    # The toolkit imports pyplot, which fails on a backend that is not there, such as that of a notebook.
    os.environ["MPLBACKEND"] = "Agg"
try:
    from got10k.trackers import Tracker
except ImportError as error:
    message = f"the got10k toolkit is missing ({error}): pip install d3s-vot[got10k]"
    if __name__ != "__main__":
        raise ImportError(message) from error
    print(f"d3s_vot.got10k_run: {message}", file=sys.stderr)
    sys.exit(2)

from d3s_vot.arguments import add_network, chosen, whole_number
from d3s_vot.errors import CheckpointError, D3SError, InputError
from d3s_vot.evaluation.boxes import boxsets
from d3s_vot.evaluation.boxes.submission import SERVERS, check_submission
from d3s_vot.evaluation.boxes.tracking import BoxBenchmark, follow
from d3s_vot.evaluation.davis import benchmark as davis
from d3s_vot.evaluation.davis.benchmark import DavisBenchmark
from d3s_vot.evaluation.runs.benchmark import Benchmark
from d3s_vot.evaluation.runs.pools import Pool
from d3s_vot.evaluation.runs.run import report, run, show
from d3s_vot.interrupts import interruptible
from d3s_vot.regions import Box
from d3s_vot.zoo import Choice


class D3STracker(Tracker):
    """D3S for the got10k toolkit's experiments; all sequences share one loaded network.

    Args:
        name: of the folder of results.
        weights, trunk, device, preset, rules: as in `d3s_vot.load_tracker`.
        origin: what the data set's boxes count the top-left pixel as, 1 or 0.

    Raises:
        CheckpointError: the weights cannot be used.
        InputError: there is no such device.
    """

    def __init__(
        self,
        name: str = "D3S",
        weights: str | os.PathLike[str] = "D3S",
        trunk: str | Path | None = None,
        device: str = "auto",
        origin: int = 1,
        preset: str = "exact",
        rules: str = "weights",
    ) -> None:
        super().__init__(name, is_deterministic=True)
        self.origin = origin
        self._tracker = Choice(weights, device, preset, rules, trunk).load_tracker()

    def init(self, image: ArrayLike, box: ArrayLike) -> None:
        """Learn the target from the first frame.

        Args:
            image: PIL image or array, RGB, H x W x 3 uint8.
            box: x, y, w, h.

        Raises:
            InputError: the image or the box cannot be used.
        """
        x, y, w, h = np.asarray(box, np.float64).tolist()
        self._tracker.initialize(np.asarray(image), Box.counted_from(self.origin, x, y, w, h))

    def update(self, image: ArrayLike) -> NDArray[np.float64]:
        """Find the target in the next frame: x, y, w, h.

        Raises:
            InputError: the image cannot be used, or there is no target yet.
        """
        return np.array(self._tracker.track(np.asarray(image)).region.box.count_from(self.origin))

    def track(
        self, img_files: Sequence[str], box: ArrayLike, visualize: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Track one video; unlike the toolkit's own loop this one decodes the pictures outside the clock.

        Args:
            img_files: the frames.
            box: x, y, w, h of the target in the first.
            visualize: show each frame in a window.

        Returns:
            N x 4 boxes, of which the first is the given one, and N times in seconds.

        Raises:
            InputError: a picture or the box cannot be used.
        """
        result = follow(self._tracker, img_files, box, self.origin, _show if visualize else None)
        return result.boxes, result.seconds


def _show(image: NDArray[np.uint8], box: NDArray[np.float64]) -> None:
    from got10k.utils.viz import show_frame

    show_frame(image[..., ::-1], box)  # the toolkit takes arrays as BGR


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="python -m d3s_vot.got10k_run",
        description="Track a benchmark's sequences with D3S; report them, or make the server's submission.",
        epilog="""examples:
  python -m d3s_vot.got10k_run --dataset got10k-val --root GOT-10k --output runs
  python -m d3s_vot.got10k_run --dataset trackingnet --root TrackingNet --output runs --workers 4
  python -m d3s_vot.got10k_run --dataset davis17-val --root DAVIS --output runs --sequences dogs-jump judo
  python -m d3s_vot.got10k_run --dataset trackingnet --root TrackingNet --check other.zip
A run that was stopped goes on where it was: give the same command again.
Exit code 0: done; 1: the run or some sequences failed; 2: something given cannot be used.""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset", required=True, choices=(*boxsets.NAMES, *davis.NAMES), metavar="NAME",
        help=f"one of {', '.join((*boxsets.NAMES, *davis.NAMES))}",
    )  # fmt: skip
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="the data set, as it was unpacked")
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--output", type=Path, metavar="DIR", help="folder of runs; this one is DIR/NAME")
    goal.add_argument("--check", type=Path, metavar="ZIP", help="only check a submission, from here or elsewhere")
    parser.add_argument(
        "--sequences", nargs="+", metavar="SEQUENCE", help="track and report these alone (default: all)"
    )
    tracker = parser.add_argument_group("the tracker")
    tracker.add_argument("--name", default="D3S", help="its name in the results (default: %(default)s)")
    add_network(tracker)
    place = parser.add_argument_group("where it runs")
    place.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1 ... (default: each worker a GPU in turn, else the CPU)"
    )
    place.add_argument(
        "--workers", type=whole_number, default=1, metavar="N", help="processes on this machine (default: %(default)s)"
    )
    place.add_argument(
        "--threads", type=whole_number, default=1, metavar="N",
        help="CPU threads of each worker; rounding depends on it, so all of a run have the same (default: %(default)s)",
    )  # fmt: skip
    place.add_argument("--ray", metavar="ADDRESS", help="a running Ray cluster, HOST:PORT, or auto for this machine's")
    again = parser.add_argument_group("what an earlier run left").add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with it; the default")
    again.add_argument("--restart", action="store_true", help="remove its results and begin again")
    again.add_argument("--report-only", action="store_true", help="report finished results, whatever their settings")
    return parser


def _run(options: argparse.Namespace) -> None:
    if options.check is not None:
        _check(options.dataset, options.root, options.check, options.sequences)
        return
    name = options.dataset
    benchmark: Benchmark[Any, Any] = DavisBenchmark(name) if name in davis.NAMES else BoxBenchmark(name)
    if options.report_only:
        report(benchmark, options.root, options.output, tracker=options.name, names=options.sequences)
    else:
        run(
            benchmark,
            options.root,
            options.output,
            tracker=options.name,
            choice=replace(chosen(options), device="auto"),
            pool=Pool(options.workers, options.threads, options.device, options.ray),
            names=options.sequences,
            restart=options.restart,
        )


def _check(name: str, root: Path, submission: Path, names: list[str] | None) -> None:
    """Check a submission against the data set that it is of."""
    if name not in SERVERS:
        raise InputError(f"{name} has no server, so it takes no zip; {' and '.join(SERVERS)} have")
    if names is not None:
        raise InputError("a submission is of all sequences; leave out --sequences")
    sequences = boxsets.open_boxset(name, root)
    problems = check_submission(name, submission, sequences)
    if problems:
        show(problems)
        raise InputError(f"{submission} cannot be submitted to {name}; mend what is listed")
    print(f"{submission} can be submitted to {name}: {len(sequences)} sequences, {sum(map(len, sequences))} frames")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; see the module's text.

    Args:
        arguments: of the command line; None: those of the process.
    """
    options = build_parser().parse_args(arguments)
    try:
        with interruptible():
            _run(options)
    except (InputError, CheckpointError) as error:
        print(f"d3s_vot.got10k_run: {error}", file=sys.stderr)
        return 2
    except (D3SError, OSError) as error:
        print(f"d3s_vot.got10k_run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("d3s_vot.got10k_run: interrupted; the same command goes on where it was", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
