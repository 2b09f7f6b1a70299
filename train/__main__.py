"""Train the segmentation network on labelled videos and pictures.

    python -m train --data youtube-vos=../ytvos stills=../pictures:0.5 --output runs/first
    python -m train --data youtube-vos=../ytvos stills=../pictures:0.5 --output runs/first --resume
    torchrun --nproc-per-node 4 -m train --data youtube-vos=../ytvos --schedule published --output runs/published
    python -m train --data davis=../DAVIS --output runs/first --validate-only runs/first/head.safetensors
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from d3s_vot.errors import D3SError
from d3s_vot.interrupts import interruptible
from d3s_vot.locks import locked
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.siamfcpp.config import HEAD_CONVOLUTIONS
from d3s_vot.trunks.trunk import CHANNELS
from d3s_vot.trunks.vit import SIZES
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint
from train.config import AUGMENTATIONS, SCHEDULES, TrainConfig
from train.data import coco
from train.data.clips import find_clips
from train.data.holdout import hold_out, read_names
from train.data.index import index
from train.data.items import Item, Source, source_names
from train.errors import DataError
from train.loop import Trainer
from train.memory import choose_precision, use_cpu_well
from train.parallel import Group, PeerError, choose_process_device
from train.tasks.d3s import Segmentation
from train.tasks.names import DEFAULT, NAMES, SCHEDULES_OF, UNLABELLED, task
from train.validation import Validation, write_sheet

CACHE = Path("~/.cache/d3s_vot/train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, train or validate, and return the exit code."""
    options = _parse(arguments)
    group = Group()
    setting_up = True  # what fails now fails in all processes alike
    try:
        with interruptible():
            device = choose_process_device(options.device)
            group = Group.join(device)
            level = logging.INFO if group.first else logging.ERROR
            logging.basicConfig(level=level, format="%(message)s", stream=sys.stdout)
            config = _config(options)
            if device.type == "cpu":
                use_cpu_well(config.workers * group.size)
            sources = [Source.parse(text) for text in options.data]
            names = [name for path in options.hold_out for name in read_names(path)]
            weights = dict(zip(source_names(sources), (s.weight for s in sources), strict=True))
            items: list[Any]
            if options.tracker in UNLABELLED:
                items = group.from_first(lambda: find_clips(sources))
            else:
                items = _index(sources, options.cache.expanduser(), config.workers, group)
            if names:
                items = hold_out(items, names)
            if options.validate_only:
                if options.tracker != DEFAULT:
                    raise DataError(f"--validate-only takes weights of {DEFAULT} alone; leave out --tracker")
                setting_up = False
                _validate_only(options, config, items, weights, device, group)
                return 0
            start = load_checkpoint(find_weights(options.start_from)) if options.start_from else None
            trainer = Trainer(
                config, items, weights, options.output, device, schedule=options.schedule, start=start,
                trunk_weights=options.trunk_weights, group=group, tensorboard=options.tensorboard,
                make=task(options.tracker),
            )  # fmt: skip
            setting_up = False
            with contextlib.ExitStack() as stack:
                if options.output.is_dir() or not options.resume:
                    group.from_first(lambda: stack.enter_context(locked(options.output)))
                if options.resume:
                    trainer.resume()
                trainer.run()
    except (DataError, D3SError, OSError) as error:
        if group.first or not setting_up:
            print(f"train: {error}", file=sys.stderr)
        return 2
    except PeerError:  # which speaks for itself
        return 2
    except FloatingPointError as error:
        if group.first:
            print(f"train: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if group.first:
            print(f"train: interrupted{_way_on(options)}", file=sys.stderr)
        return 1
    finally:
        group.leave()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", nargs="+", action="extend", required=True, metavar="NAME=DIR[:WEIGHT]",
        help="data sets, each with its share of the pairs; NAME is youtube-vos, davis, stills, coco, or clips",
    )  # fmt: skip
    parser.add_argument("--hold-out", type=Path, nargs="+", default=[], metavar="FILE",
                        help="list of SET/VIDEO or SET, one a line, to validate on and never to train on")  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for weights, state and log")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --output")
    parser.add_argument("--start-from", metavar="WEIGHTS",
                        help="begin with these weights (a file, or D3S) in place of random ones")  # fmt: skip
    parser.add_argument("--validate-only", metavar="WEIGHTS",
                        help="score these weights (a file, or D3S) on the held-out pairs, train nothing")  # fmt: skip
    parser.add_argument("--tracker", choices=NAMES, default=DEFAULT,
                        help=f"what is trained; default {DEFAULT}")  # fmt: skip
    parser.add_argument("--schedule", choices=sorted(SCHEDULES),
                        help="the settings of the run that no option gives; default the first of the tracker's: "
                        + "; ".join(f"{name} {', '.join(own)}" for name, own in SCHEDULES_OF.items()))  # fmt: skip
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda; default auto")
    parser.add_argument("--trunk-weights", type=Path, metavar="FILE",
                        help="ImageNet weights of a trunk that comes from no package")  # fmt: skip
    parser.add_argument("--cache", type=Path, default=CACHE, metavar="DIR",
                        help=f"folder for what is known of the data; default {CACHE}")  # fmt: skip
    parser.add_argument("--tensorboard", action="store_true", help="write OUTPUT/tensorboard too")

    of_schedule = parser.add_argument_group("settings", "by default those of the schedule")
    of_schedule.add_argument("--augmentation", choices=sorted(AUGMENTATIONS), help="how pairs are made")
    trunks = sorted({*CHANNELS, *HEAD_CONVOLUTIONS, *SIZES})
    of_schedule.add_argument("--trunk", choices=trunks, help="features' network")
    of_schedule.add_argument("--tune-trunk", type=int, choices=range(5), nargs="?", const=4, dest="tuned_stages",
                             metavar="N", help="train the trunk too, or the last N of its four stages")  # fmt: skip
    of_schedule.add_argument("--width", type=_at_least(1), metavar="N",
                             help="channels of the refinement pathway, in multiples of the published ones")  # fmt: skip
    of_schedule.add_argument("--iterations", type=_at_least(1), metavar="N", help="steps; the schedule scales to them")
    of_schedule.add_argument("--batch", type=_at_least(1), metavar="N", help="pairs of a step, over all processes")
    of_schedule.add_argument("--learning-rate", type=_positive, metavar="R", help="peak of the learning rate")
    of_schedule.add_argument("--precision", choices=("auto", "bfloat16", "float32"), help="of the forward pass")
    of_schedule.add_argument("--seed", type=_at_least(0), metavar="N", help="of all chance")
    of_schedule.add_argument("--workers", type=_at_least(0), metavar="N",
                             help="processes that make pairs, for each that trains")  # fmt: skip
    of_schedule.add_argument("--checkpoint-minutes", type=_not_negative, metavar="M",
                             help="at most between two states; 0: one with each line of the log")  # fmt: skip
    options = parser.parse_args(arguments)
    own = SCHEDULES_OF[options.tracker]
    options.schedule = options.schedule or own[0]
    if options.schedule not in own:
        parser.error(f"{options.schedule} is no schedule of {options.tracker}; choose {' or '.join(own)} (--schedule)")
    return options


def _config(options: argparse.Namespace) -> TrainConfig:
    """The schedule, with what the command line says instead."""
    config = SCHEDULES[options.schedule]
    if options.iterations is not None:
        config = config.shortened(options.iterations)
    names = (
        "trunk", "tuned_stages", "width", "batch", "learning_rate", "precision", "seed", "workers",
        "checkpoint_minutes",
    )  # fmt: skip
    given: dict[str, Any] = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.augmentation is not None:
        own = config.pairs  # the tracker's network asks for crops of this size
        given["pairs"] = dataclasses.replace(
            AUGMENTATIONS[options.augmentation], size=own.size, area_scale=own.area_scale
        )
    return dataclasses.replace(config, **given)


def _index(sources: list[Source], cache: Path, workers: int, group: Group) -> list[Item]:
    """The objects, as the first process finds them."""
    items = group.from_first(lambda: index(sources, cache=cache, workers=workers)).items
    if not group.first:  # as `index` does: parsed before the workers are forked, an annotation file is in memory once
        for path in {i.mask for i in items if i.mask.suffix == ".json"}:
            coco.load_instances(path)
    return items


def _validate_only(
    options: argparse.Namespace,
    config: TrainConfig,
    items: list[Item],
    weights: dict[str, float],
    device: torch.device,
    group: Group,
) -> None:
    """Print the scores of a checkpoint on the held-out pairs; write the sheet of the first ones."""
    checkpoint = load_checkpoint(find_weights(options.validate_only))
    if checkpoint.tracker != D3SModel.name:
        raise DataError(f"the weights to validate are of {checkpoint.tracker}, not of {D3SModel.name}; choose others")
    model = D3SModel.from_checkpoint(checkpoint, device, D3SModel.constants(checkpoint), options.trunk_weights)
    validation = Validation(
        [i for i in items if i.held_out], weights, config.pairs, count=config.validation_pairs,
        batch=config.batch, workers=config.workers, device=device, group=group,
    )  # fmt: skip
    scores, sheet = validation(Segmentation(model.network, model.trunk), choose_precision(config.precision, device))

    def tell() -> None:
        options.output.mkdir(parents=True, exist_ok=True)
        write_sheet(options.output / "validation.png", sheet)
        print(scores.table(), flush=True)

    group.from_first(tell)


def _way_on(options: argparse.Namespace) -> str:
    if (options.output / "state.pt").is_file():
        return f"; go on with --resume from {options.output}"
    return " before there was anything to keep"


def _at_least(least: int) -> Any:
    def convert(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number of {least} or more")
        return number

    convert.__name__ = "whole number"  # argparse names it where int() refuses the text
    return convert


def _positive(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not a number of 0 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
