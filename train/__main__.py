"""Train the segmentation network on labelled pictures.

    python -m train --data ../shared/data/train --output runs/first-light
    python -m train --data ../shared/data/train --output runs/first-light --resume
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path

from d3s_vot.backbones import CHANNELS
from d3s_vot.errors import D3SError
from d3s_vot.model import choose_device
from train.config import TrainConfig
from train.data import DataError, index_stills
from train.loop import Trainer


def main() -> int:
    """Parse the command line, train, and return the exit code."""
    defaults = TrainConfig()
    parser = argparse.ArgumentParser(
        prog="python -m train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of SET/images and SET/masks")
    parser.add_argument("--output", type=Path, required=True, help="folder for weights, state and log")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --output")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--trunk", choices=sorted(CHANNELS), default=defaults.trunk)
    for name in ("iterations", "batch", "seed", "workers"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name), help="default %(default)s")
    options = parser.parse_args()
    if options.iterations < 1 or options.batch < 1 or options.workers < 0 or options.seed < 0:
        parser.error("--iterations and --batch must be 1 or more, --workers and --seed 0 or more")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    chosen = {name: getattr(options, name) for name in ("trunk", "iterations", "batch", "seed", "workers")}
    config = dataclasses.replace(defaults, **chosen)
    try:
        trainer = Trainer(config, index_stills(options.data), options.output, choose_device(options.device))
        if options.resume:
            trainer.resume()
        trainer.run()
    except (DataError, D3SError, OSError) as error:
        # An error of a worker arrives with the worker's traceback in its text; the last line is the sentence.
        print(f"train: {str(error).strip().splitlines()[-1].removeprefix('train.data.DataError: ')}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"train: interrupted; go on with --resume from {options.output}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
