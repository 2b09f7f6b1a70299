"""Train the head that judges a crop, and put it into a copy of the weights that it judges.

    python -m train.judgement --data stills=../pictures --weights D3S --output D3S-judged.safetensors

Samples are drawn with the weights' own network, some six in a second on a core, and kept beside the output, so that a
run that was broken off goes on where it was. A tenth of them, by template, is not fitted to but reported on.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import logging
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from d3s_vot.arguments import whole_number
from d3s_vot.errors import CheckpointError, D3SError
from d3s_vot.files import write_whole
from d3s_vot.heads.judgement import JudgementHead
from d3s_vot.interrupts import interruptible
from d3s_vot.presets import PRESETS, make_fast
from d3s_vot.trackers.d3s.config import RULES, D3SConfig
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.trackers.d3s.weights import JUDGEMENT
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint, save_checkpoint
from train.data.holdout import hold_out, read_names
from train.data.index import index
from train.data.items import Source
from train.errors import DataError
from train.judgement.fit import fit, report
from train.judgement.pictures import Pictures
from train.judgement.samples import KINDS, Samples, draw

PART = 600  # samples that are drawn before they are kept
LEAST = 10 * len(KINDS)  # samples, so that some templates are left to report on
log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, draw samples, fit, report and write."""
    parser = argparse.ArgumentParser(
        prog="python -m train.judgement", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR", help="as for python -m train")
    parser.add_argument("--hold-out", nargs="+", type=Path, default=[], help="lists of videos that are not used")
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/d3s_vot/train"))
    parser.add_argument("--weights", default="D3S", help="of D3S, which the head is for")
    parser.add_argument("--preset", choices=PRESETS, default="fast", help="in which samples are drawn")
    parser.add_argument(
        "--blurred-views", action="store_true", help="blurred pictures of the first frame are evidence, too"
    )
    parser.add_argument("--samples", type=whole_number, default=12_000, help=f"{LEAST} or more")
    parser.add_argument("--epochs", type=whole_number, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=whole_number, default=1)
    parser.add_argument("--output", type=Path, required=True, help="the new weights; samples are kept beside")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed {options.seed} is no seed; give 0 or more")
    if options.output.is_dir():  # or it would be found when all is drawn
        parser.error(f"--output {options.output} is a folder; name a file in it")
    if options.samples < LEAST:
        parser.error(f"--samples {options.samples} are too few to fit and to report on; ask for {LEAST} or more")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    torch.set_num_threads(options.threads)
    try:
        with interruptible():
            _run(options)
    except (D3SError, DataError, OSError) as error:
        print(f"judgement: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("judgement: interrupted; the samples are kept, run it again to go on", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    checkpoint = load_checkpoint(find_weights(options.weights))
    if checkpoint.tracker != D3SModel.name:
        raise CheckpointError(f"{options.weights} holds weights of {checkpoint.tracker}; the head is for those of D3S")
    samples = _samples(options, checkpoint)
    held = len(samples) // 10 // len(KINDS) * len(KINDS)
    head = fit(_part(samples, slice(held, None)), options.epochs, options.seed)
    told = report(head, _part(samples, slice(held)))
    for name, value in told.items():
        log.info("%s %.3f", name, value)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if not name.startswith(JUDGEMENT)}
    tensors |= {JUDGEMENT + name: tensor.half() for name, tensor in head.state_dict().items()}
    before, after = D3SModel.constants(checkpoint), _constants(options, checkpoint)
    config = {k: v for k, v in checkpoint.config.items() if k not in before.changes()} | after.changes()
    provenance = dict(checkpoint.provenance) | {"judgement": {"samples": len(samples), "held out": held} | told}
    save_checkpoint(options.output, Checkpoint.create(tensors, checkpoint.tracker, config, provenance))
    log.info("written to %s", options.output)


def _samples(options: argparse.Namespace, checkpoint: Checkpoint) -> Samples:
    """Those kept from before, and new ones for what is missing."""
    kept = options.output.with_suffix(".samples.npz")
    held = [str(path) for path in options.hold_out]
    origin = json.dumps([checkpoint.checksum, options.preset, options.seed, options.data, held, options.blurred_views])
    found = _load(kept, origin) if kept.is_file() else None
    if found is not None and len(found) >= options.samples:
        return found
    sources = [Source.parse(text) for text in options.data]
    names = [name for path in options.hold_out for name in read_names(path)]
    items = index(sources, cache=options.cache.expanduser(), workers=1).items
    pictures = Pictures.of(hold_out(items, names) if names else items)
    model = _model(checkpoint, options.preset, _constants(options, checkpoint))
    while found is None or len(found) < options.samples:
        have = 0 if found is None else len(found)
        new = draw(model, pictures, np.random.default_rng([options.seed, have]), min(PART, options.samples - have))
        found = new if found is None else _joined(found, new)
        _save(kept, found, origin)
        log.info("%d of %d samples", len(found), options.samples)
    return found


def _constants(options: argparse.Namespace, checkpoint: Checkpoint) -> D3SConfig:
    """Those that the new head is for; of the checkpoint's own, what its networks were made for stays."""
    rules = dataclasses.replace(RULES["judged"], blurred_views=int(options.blurred_views))
    return D3SModel.constants(checkpoint).with_rules(rules)


def _model(checkpoint: Checkpoint, preset: str, config: D3SConfig) -> D3SModel:
    """The networks, with a head that knows nothing yet."""
    tensors = dict(checkpoint.tensors) | {JUDGEMENT + k: v for k, v in JudgementHead().state_dict().items()}
    model = D3SModel.from_checkpoint(dataclasses.replace(checkpoint, tensors=tensors), torch.device("cpu"), config)
    if preset == "fast":
        make_fast(model)
    return model


def _part(samples: Samples, which: slice) -> Samples:
    return Samples(*(getattr(samples, field.name)[which] for field in dataclasses.fields(samples)))


def _joined(first: Samples, second: Samples) -> Samples:
    names = [field.name for field in dataclasses.fields(first)]
    return Samples(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def _save(path: Path, samples: Samples, origin: str) -> None:
    content = io.BytesIO()
    arrays = {field.name: getattr(samples, field.name) for field in dataclasses.fields(samples)}
    np.savez(content, origin=origin, **arrays)
    write_whole(path, content.getvalue())


def _load(path: Path, origin: str) -> Samples:
    """What was kept.

    Raises:
        CheckpointError: it cannot be read, or was drawn with other weights or from other data.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["origin"]) != origin:
                raise CheckpointError(
                    f"the samples {path} are of other weights, data, seed, preset or views; remove them, "
                    "or choose another output"
                )
            return Samples(*(archive[field.name] for field in dataclasses.fields(Samples)))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"the samples {path} cannot be read ({error}); remove them") from error


if __name__ == "__main__":
    sys.exit(main())
