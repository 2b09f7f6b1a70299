"""The training loop: one file, one process, resumable.

The trunk is frozen; only the segmentation network learns. Pair n is a function of the seed and n alone, so a
resumed run goes on with the pairs that the killed one would have seen.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import logging
import math
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from d3s_vot.backbones import Trunk, create_trunk
from d3s_vot.network import SegmentationNetwork, location_channel
from d3s_vot.weights import Checkpoint, save_checkpoint
from train.config import TrainConfig
from train.data import DataError, Item, PairDataset

log = logging.getLogger(__name__)


class Trainer:
    """State of a run: network, its moving average, optimiser, iteration.

    Args:
        config: of the run.
        items: objects to train on and, by their `held_out`, to validate on.
        output: folder for `state.pt` (resume), `log.csv`, `pairs.png` and `head.safetensors`.
        device: where the network runs.
    """

    def __init__(self, config: TrainConfig, items: list[Item], output: Path, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.output, self.device = config, output, device
        output.mkdir(parents=True, exist_ok=True)
        self.trunk: Trunk = create_trunk(config.trunk).to(device)
        self.network = SegmentationNetwork(self.trunk.channels).to(device)
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(config.ema), use_buffers=True
        )
        decay = [p for p in self.network.parameters() if p.ndim > 1]
        other = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": config.weight_decay}, {"params": other, "weight_decay": 0.0}],
            lr=config.learning_rate,
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.iteration = 0
        kept = [i for i in items if i.held_out]
        train = [i for i in items if not i.held_out]
        if not kept or not train:
            raise DataError(f"{len(train)} objects to train on and {len(kept)} to validate on; add pictures")
        self.counts = {"train": len(train), "validation": len(kept)}
        self.data = PairDataset(train, config.pairs, config.seed, config.iterations * config.batch)
        plain = dataclasses.replace(config.pairs, region=0.0, part=0.0, box_on_itself=0.0, box_mask=0.0, rough_mask=0.0)
        self.validation = PairDataset(kept, plain, 1_000_003, config.validation_pairs)

    def _rate(self, iteration: int) -> float:
        """Linear warm-up, then half a cosine to a hundredth."""
        c = self.config
        if iteration < c.warmup:
            return (iteration + 1) / c.warmup
        done = (iteration - c.warmup) / max(c.iterations - c.warmup, 1)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def run(self) -> None:
        """Train from the current iteration to the last; write state, log and weights."""
        c, started, saved = self.config, time.monotonic(), time.monotonic()
        first, waited = self.iteration, 0.0
        losses: list[float] = []
        last_iou = math.nan
        batches = self._batches()
        while self.iteration < c.iterations:
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            losses.append(self.step(batch))
            if self.iteration % 50 == 0:
                spent = time.monotonic() - started
                rate = (self.iteration - first) / spent
                left = (c.iterations - self.iteration) / rate
                loss = float(np.mean(losses))
                log.info(
                    "iteration %d of %d  loss %.4f  IoU %.3f  %.1f pairs/s  waiting %.0f %%  %.0f min left",
                    self.iteration, c.iterations, loss, last_iou, rate * c.batch, 100 * waited / spent, left / 60,
                )  # fmt: skip
                self._write_log(loss, last_iou, rate * c.batch)
                losses = []
            if self.iteration % c.validate_every == 0 and self.iteration < c.iterations:
                last_iou = self.validate()
            if time.monotonic() - saved > 60 * c.checkpoint_minutes:
                self.save_state()
                saved = time.monotonic()
        self.save_state()
        last_iou = self.validate()
        self.export(last_iou)
        log.info("done: validation IoU %.3f, weights in %s", last_iou, self.output / "head.safetensors")

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        c = self.config
        rest = Subset(self.data, range(self.iteration * c.batch, c.iterations * c.batch))
        return iter(DataLoader(rest, c.batch, num_workers=c.workers, worker_init_fn=_one_thread, drop_last=True))

    def forward(self, network: SegmentationNetwork, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B x 2 x S x S) and targets of a batch."""
        batch = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        location = location_channel(batch["center"], self.config.pairs.size)
        with torch.autocast(self.device.type, torch.bfloat16):
            with torch.no_grad():
                template, search = self.trunk(batch["template"]), self.trunk(batch["search"])
            logits = network(search, network.encode_template(template, batch["template_mask"]), location)
        return logits.float(), torch.cat([batch["mask"], 1 - batch["mask"], batch["weight"]], dim=1)  # B x 3 x S x S

    def step(self, batch: dict[str, Tensor]) -> float:
        """One optimiser step; returns the loss.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        self.network.train()
        logits, target = self.forward(self.network, batch)
        weight = target[:, 2:]
        loss = F.binary_cross_entropy_with_logits(logits, target[:, :2], reduction="none") * weight
        loss = loss.sum() / (2 * weight.sum()).clamp(min=1)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at iteration {self.iteration}; lower the rate")
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.average.update_parameters(self.network)
        self.iteration += 1
        return loss.item()

    @torch.no_grad()
    def validate(self) -> float:
        """Mean IoU of the averaged network over the held-out pairs; writes a sheet of the first ones."""
        network = cast(SegmentationNetwork, self.average.module.eval())
        scores: list[float] = []
        rows: list[np.ndarray] = []
        loader = DataLoader(self.validation, self.config.batch, num_workers=self.config.workers,
                            worker_init_fn=_one_thread)  # fmt: skip
        for batch in loader:
            logits, target = self.forward(network, batch)
            predicted, truth = logits[:, 0] > logits[:, 1], target[:, 0] > 0.5  # B x S x S
            valid = target[:, 2] > 0.5
            both = (predicted & truth & valid).sum(dim=(1, 2))
            either = ((predicted | truth) & valid).sum(dim=(1, 2))
            scores += (both / either.clamp(min=1)).tolist()
            if len(rows) < 16:
                rows += [_picture(batch, predicted.cpu().numpy(), i) for i in range(min(8, len(predicted)))]
        half = len(rows) // 2
        sheet = np.hstack([np.vstack(rows[:half]), np.vstack(rows[half : 2 * half])])
        cv2.imwrite(str(self.output / "pairs.png"), sheet[..., ::-1])
        return float(np.mean(scores))

    def save_state(self) -> None:
        """Everything that `resume` needs, written whole."""
        state = {
            "config": dataclasses.asdict(self.config),
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": {"last_epoch": self.scheduler.last_epoch},
        }
        temporary = self.output / "state.pt.part"
        packed = io.BytesIO()  # torch's own writing reports a full disk as no OSError
        torch.save(state, packed)
        temporary.write_bytes(packed.getbuffer())
        os.replace(temporary, self.output / "state.pt")

    def resume(self) -> None:
        """Go on from `state.pt`.

        Raises:
            DataError: there is no state, it is damaged, or it is of a run with other settings.
        """
        path = self.output / "state.pt"
        if not path.is_file():
            raise DataError(f"there is no {path} to resume from; start without --resume")
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:  # torch reports damage by several kinds of error
            raise DataError(f"{path} is damaged; start anew without --resume") from error
        ours, theirs = dataclasses.asdict(self.config), state["config"]
        differing = [k for k in ours if ours[k] != theirs.get(k) and k not in ("workers", "checkpoint_minutes")]
        if differing:
            raise DataError(f"{path} is of a run with another {', '.join(differing)}; use the same settings")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.last_epoch = state["scheduler"]["last_epoch"]
        self.iteration = state["iteration"]

    def export(self, iou: float) -> None:
        """Write the averaged network as `head.safetensors`, the package's format."""
        tensors = {f"segm_predictor.{k}": v.cpu() for k, v in self.average.module.state_dict().items()}
        provenance = {
            "iterations": self.iteration,
            "config": dataclasses.asdict(self.config),
            "objects": self.counts,
            "validation_iou": round(iou, 4) if math.isfinite(iou) else None,
            "commit": _commit(),
            "torch": torch.__version__,
        }
        save_checkpoint(self.output / "head.safetensors", Checkpoint.create(tensors, self.config.trunk, provenance))

    def _write_log(self, loss: float, iou: float, rate: float) -> None:
        path = self.output / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["iteration", "loss", "validation_iou", "learning_rate", "pairs_per_second"])
            rate_now = self.optimizer.param_groups[0]["lr"]
            writer.writerow([self.iteration, f"{loss:.5f}", f"{iou:.4f}", f"{rate_now:.6f}", f"{rate:.1f}"])


def _one_thread(_: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _picture(batch: dict[str, Tensor], predicted: np.ndarray, i: int) -> np.ndarray:
    """Template, its mask, search, prediction (green) over truth (red): one row of the sheet."""
    template, search = (batch[k][i].permute(1, 2, 0).numpy() for k in ("template", "search"))
    marked, shown = template.copy(), search.copy()
    marked[batch["template_mask"][i, 0].numpy() < 0.5] //= 3
    shown[..., 0] = np.where(batch["mask"][i, 0].numpy() > 0.5, 255, shown[..., 0])
    shown[..., 1] = np.where(predicted[i], 255, shown[..., 1])
    pictures = (template, marked, search, shown)
    return np.hstack([cv2.resize(x, (160, 160), interpolation=cv2.INTER_AREA) for x in pictures])


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
