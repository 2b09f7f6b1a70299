"""DropMAE as the training loop sees a task: frames of videos without labels, most of them masked, are filled in.

The checkpoint that a run ends with is DropTrack's, with a head of random weights: its training begins with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.ostrack.pretrained import begin_from, pretrained_config
from d3s_vot.trackers.ostrack.weights import create
from d3s_vot.trunks.vit import MEAN, PATCH, SIZES, STD
from d3s_vot.weights.checkpoint import Checkpoint
from train.config import TrainConfig
from train.data.clip_pairs import ClipPairs, collate_clips
from train.data.clips import Clip
from train.data.feed import Batch, Feed
from train.parallel import Group
from train.tasks.base import Task
from train.tasks.dropmae_network import DECODERS, DropMAENetwork, DropMAESize, Reconstruction, cut_patches, join_patches
from train.validation import SEED, Score, Scores, Sheet

PICTURES, TILE = 8, 112  # pairs on the sheet, pixels of a picture


class MaskedFrames(Task):
    """The network of DropMAE.

    Args:
        network: encoder and decoder.
        seed: of the dropout, which a step's first pair gives the number to.
    """

    measure = "error"
    shown_before = True

    def __init__(self, network: DropMAENetwork, seed: int) -> None:
        super().__init__()
        self.network, self.seed = network, seed

    @classmethod
    def create(
        cls,
        config: TrainConfig,
        device: torch.device,
        trunk_weights: Path | None,
        processes: int,
        start: Checkpoint | None = None,
    ) -> MaskedFrames:
        """New networks for a run; see `base.MakeTask`.

        Raises:
            CheckpointError: there is no such encoder, or weights to begin with are given.
        """
        if config.trunk not in DECODERS or config.pairs.size % PATCH:
            names = " or ".join(DECODERS)
            raise CheckpointError(f"DropMAE has no encoder {config.trunk!r}; choose {names}, by the schedule dropmae")
        if trunk_weights is not None or start is not None:
            raise CheckpointError("DropMAE begins with random weights; leave out those to begin with")
        size = DropMAESize(SIZES[config.trunk], DECODERS[config.trunk], config.pairs.size // PATCH)
        return cls(DropMAENetwork(size), config.seed).to(device)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Reconstruction:
        """What the network says of a batch; see `DropMAENetwork.forward`."""
        return self.network(batch["x"].float(), batch["z"].float(), batch["noise"], generator)

    def loss(self, batch: Batch) -> Tensor:
        """See `Task.loss`. What is dropped is a function of the seed and of the first pair's number alone."""
        generator = torch.Generator(batch["x"].device)
        generator.manual_seed((2**32 * self.seed + int(batch["number"][0])) % 2**63)
        return self(batch, generator).loss

    def parameter_groups(self, config: TrainConfig) -> list[dict[str, Any]]:
        """For the optimiser: weights decay, offsets, normalisations and vectors of positions do not."""
        named = list(self.network.named_parameters())
        kept = [p for name, p in named if p.ndim == 1 or "pos_embed" in name or name == "mask_token"]
        decaying = [p for name, p in named if not any(p is other for other in kept)]
        return [{"params": decaying, "share": 1.0}, {"params": kept, "share": 1.0, "weight_decay": 0.0}]

    def trunk_state(self) -> dict[str, Tensor]:
        """See `Task.trunk_state`: none, all is drawn at random."""
        return {}

    def checkpoint(self, provenance: dict[str, Any], rules: str) -> Checkpoint:
        """Weights that DropTrack's training begins with: the encoder, and a head of random weights."""
        state = self.network.state_dict()
        what = "the encoder"
        config = pretrained_config(state, what)
        head = {"head": "random, to begin training with"}
        return create(begin_from(state, config, what), config, provenance | head)

    def dataset(self, items: Sequence[Any], weights: dict[str, float], config: TrainConfig) -> ClipPairs:
        """See `Task.dataset`; the items are clips."""
        return ClipPairs(items, weights, config.pairs, config.seed, config.iterations * config.batch)

    def feed(self, config: TrainConfig, device: torch.device) -> Feed:
        """See `Task.feed`."""
        return Feed(config.pairs, device, config.workers, collate_clips)

    def validation(
        self, items: Sequence[Any], weights: dict[str, float], config: TrainConfig, device: torch.device, group: Group
    ) -> ReconstructionError:
        """See `Task.validation`."""
        return ReconstructionError(items, weights, config, self.feed(config, device), group)


class ReconstructionError:
    """The error on pairs of held-out videos, always the same ones with the same masks, and pictures of the first.

    Args:
        clips: held-out videos.
        weights: of the sources.
        config: of the run.
        feed: of its batches.
        group: processes that share the work.
    """

    def __init__(
        self, clips: Sequence[Clip], weights: dict[str, float], config: TrainConfig, feed: Feed, group: Group
    ) -> None:
        count = config.validation_pairs
        self.count, self.batch = count, config.batch // group.size
        self.pairs, self.feed, self.group = ClipPairs(clips, weights, config.pairs, SEED, count), feed, group

    @torch.no_grad()
    def __call__(self, task: MaskedFrames, precision: torch.dtype) -> tuple[Scores, Sheet]:
        """Scores over all processes, and the sheet of this process's first pairs; nothing is dropped.

        Raises:
            DataError: pairs could not be made.
            PeerError: another process could not make its pairs.
        """
        task.eval()
        found, rows = self.group.together(lambda: self._own_share(task, precision))
        errors = self.group.gather(found)
        names = sorted({name for name, _ in errors})
        by_name = {name: Score.of([error for n, error in errors if n == name]) for name in names}
        overall = Score.of([error for _, error in errors])
        return Scores(overall, by_name, MaskedFrames.measure), np.vstack(rows)

    def _own_share(self, task: MaskedFrames, precision: torch.dtype) -> tuple[list[tuple[str, float]], list[Sheet]]:
        share = self.group.share(self.count)
        numbers = [range(n, min(n + self.batch, share.stop)) for n in range(share.start, share.stop, self.batch)]
        errors: list[tuple[str, float]] = []
        rows: list[Sheet] = []
        for raw in self.feed.batches(self.pairs, numbers):
            batch = self.feed.place(raw)
            with torch.autocast(self.feed.device.type, precision, enabled=precision != torch.float32):
                found = task(batch)
            errors += zip(raw["collection"], found.loss.tolist(), strict=True)
            rows += [picture(batch, found, n) for n in range(min(len(found.loss), PICTURES - len(rows)))]
        return errors, rows


def picture(batch: Batch, found: Reconstruction, item: int) -> Sheet:
    """Both frames of a pair as they are, masked, and filled in, side by side: TILE x 6 TILE x 3 RGB.

    A patch is predicted but for its mean and contrast, which are the true ones here.
    """
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    frames = [(batch[name][item].cpu().float() / 255 - mean) / std for name in ("x", "z")]
    true = torch.cat([cut_patches(frame[None])[0] for frame in frames])  # L x 768
    told = found.patches[item].float().cpu()
    told = told * (true.var(dim=1, keepdim=True) + 1e-6).sqrt() + true.mean(dim=1, keepdim=True)
    masked = found.masked[item].cpu()[:, None] > 0
    tiles = []
    for half in (slice(None, len(true) // 2), slice(len(true) // 2, None)):
        for patches in (true, true.masked_fill(masked, 0.0), torch.where(masked, told, true)):
            image = (join_patches(patches[half][None])[0] * std + mean).clamp(0, 1) * 255
            pixels = image.permute(1, 2, 0).round().byte().numpy()
            tiles.append(np.asarray(cv2.resize(pixels, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8))
    return np.hstack(tiles)
