"""The training loop: one process, or a process per GPU; killed at any time, it goes on where its last state was.

Pair n is a function of the seed and n alone, so a resumed run sees the pairs that the killed one would have seen.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from d3s_vot.interrupts import Signals, uninterrupted
from d3s_vot.weights.checkpoint import Checkpoint, tensor_checksum
from d3s_vot.zoo import save_checkpoint
from train.config import TrainConfig
from train.data.clips import Clip
from train.data.feed import Batch
from train.data.items import Item
from train.errors import DataError
from train.memory import choose_precision
from train.parallel import Group, PeerError
from train.report import Meter, Report, Row
from train.schedule import rate
from train.state import describe_run, fingerprint, load_state, save_state
from train.tasks.base import MakeTask, Task
from train.tasks.names import task
from train.validation import NAMES, write_sheet

log = logging.getLogger(__name__)

GO, STOP, FAIL = range(3)  # what the processes agree on before each step
STATE, WEIGHTS = "state.pt", "head.safetensors"  # in the run's folder


class Trainer:
    """State of a run: network, its moving average, optimiser, iteration.

    Args:
        config: of the run.
        items: objects, or videos without labels, to train on and, by their `held_out`, to validate on.
        weights: of each source of the items.
        output: folder for `state.pt`, `log.csv`, `pairs.png` and `head.safetensors`.
        device: where the network runs.
        schedule: name of the schedule that the config comes from.
        trunk_weights: file of the trunk's weights, for trunks that come from no package.
        start: trained weights to begin with.
        group: the processes that share each batch.
        tensorboard: whether to write `output/tensorboard` too.
        make: the networks to train; None: those of the default task.

    Raises:
        DataError: too little data, a batch that cannot be shared, or no TensorBoard.
        CheckpointError: the trunk's weights are missing, damaged or of another network, or those to begin with are.
    """

    def __init__(
        self,
        config: TrainConfig,
        items: Sequence[Item | Clip],
        weights: dict[str, float],
        output: Path,
        device: torch.device,
        *,
        schedule: str = "",
        trunk_weights: Path | None = None,
        start: Checkpoint | None = None,
        group: Group | None = None,
        tensorboard: bool = False,
        make: MakeTask | None = None,
    ) -> None:
        self.config, self.output, self.device, self.schedule = config, output, device, schedule
        self.group = group or Group()
        self.group.check_batch(config.batch)
        self.precision = choose_precision(config.precision, device)
        torch.manual_seed(config.seed)
        self.task = (make or task())(config, device, trunk_weights, self.group.size, start)
        self.report = Report(output, config.iterations, tensorboard, self.task.measure)
        # A moving average of factor 0 is the network itself.
        self.average = AveragedModel(self.task, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        groups = self.task.parameter_groups(config)
        self.parameters = [p for part in groups for p in part["params"]]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        betas = (0.9, config.beta2)
        self.optimizer = kind(groups, lr=config.learning_rate, betas=betas, weight_decay=config.weight_decay)

        kept, train = [i for i in items if i.held_out], [i for i in items if not i.held_out]
        if not train:
            raise DataError(f"the data hold no objects to train on, {len(kept)} to validate on; add pictures")
        self.data = self.task.dataset(train, weights, config)
        self.feed = self.task.feed(config, device)
        self.validation = self.task.validation(kept, weights, config, device, self.group)
        trunk = tensor_checksum(self.task.trunk_state())
        self.fingerprint = fingerprint(items, weights, trunk, *([] if start is None else [start.checksum]))
        self.provenance = describe_run(config, schedule, items, weights, trunk=trunk, start=start)

        self.iteration = 0
        self.resumed = False
        self.skipped = 0  # broken pictures met by all processes
        self.losses: list[float] = []  # since the last row of the log
        self.scores: dict[str, Any] = {}  # of the latest validation
        self._earlier = 0.0  # seconds of the parts of the run before this one
        self._begun = time.monotonic()
        self._pending: list[Tensor] = []  # losses still on the device, this process's part of them
        self._skipped_here = 0

    def run(self) -> None:
        """Train from the current iteration to the last; write log, states and weights.

        Raises:
            DataError: pairs cannot be made, or the folder holds another run.
            PeerError: another process of the run failed.
            FloatingPointError: the loss is not finite.
            KeyboardInterrupt: Ctrl-C, SIGTERM or SIGHUP came; the state is saved.
            OSError: something cannot be written.
        """
        c = self.config
        self.group.from_first(self._prepare_output)
        if self.iteration == 0 and self.task.shown_before:
            scores, sheet = self.validation(cast(Task, self.average.module), self.precision)
            self.group.from_first(lambda: write_sheet(self.output / "before.png", sheet))
            if self.group.first:
                log.info("before the first step, on held-out pairs:\n%s", scores.table())
        self._begun = saved = time.monotonic()
        first, meter = self.iteration, Meter()
        with uninterrupted(at_once=self.group.size == 1) as stop:
            for batch in self._batches(meter, stop):
                self._pending.append(self.step(self.feed.place(batch)))
                self._skipped_here += int(batch["skipped"].sum())
                last = self.iteration == c.iterations
                epoch_ends, row_due = last or self.iteration % c.epoch == 0, last or self.iteration % c.log_every == 0
                if epoch_ends:
                    with meter.pause():
                        self.validate()
                if row_due:
                    self._write_row(meter, first)
                if epoch_ends or (row_due and time.monotonic() - saved >= 60 * c.checkpoint_minutes):
                    with meter.pause():
                        self.save()
                    saved = time.monotonic()
        self.group.from_first(self.export)

    def step(self, batch: Batch) -> Tensor:
        """One optimiser step on this process's share of a batch.

        Args:
            batch: on the device.

        Returns:
            This process's part of the loss, still on the device; the loss is the sum of all parts.
        """
        self.task.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * group["share"] * rate(self.config, self.iteration)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            loss = self.task.loss(batch).sum() / self.config.batch
        self.optimizer.zero_grad()
        loss.backward()
        self.group.sum_gradients(self.parameters)
        if self.config.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip)
        self.optimizer.step()
        self.average.update_parameters(self.task)
        self.iteration += 1
        return loss.detach()

    def validate(self) -> None:
        """Score the averaged network on the held-out pairs; writes a sheet of the first ones.

        Raises:
            DataError: pairs could not be made.
            OSError: the sheet cannot be written.
        """
        scores, sheet = self.validation(cast(Task, self.average.module), self.precision)
        self.scores = scores.plain()
        self.group.from_first(lambda: self.report.validation(self.iteration, scores, sheet))

    def save(self) -> None:
        """Write everything that `resume` needs, whole.

        Raises:
            FloatingPointError: a loss since the last time was not finite.
            OSError: it cannot be written.
        """
        self._settle()
        state = {
            "config": dataclasses.asdict(self.config),
            "data": self.fingerprint,
            "iteration": self.iteration,
            "task": self.task.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "losses": self.losses,
            "scores": self.scores,
            "skipped": self.skipped,
            "seconds": self._seconds(),
        }
        self.group.from_first(lambda: save_state(self.output / STATE, state))

    def resume(self) -> None:
        """Go on from the state in the folder.

        Raises:
            DataError: there is no state, it is damaged, or it is of a run with other settings, data or packages.
            PeerError: the first process found so.
        """
        path = self.output / STATE
        state = self.group.from_first(lambda: load_state(path, self.config, self.fingerprint))
        self.task.load_state_dict(state["task"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.losses, self.scores = state["iteration"], state["losses"], state["scores"]
        self.skipped, self._earlier, self.resumed = state["skipped"], state["seconds"], True

    def export(self) -> None:
        """Write the averaged network as `head.safetensors`, in the package's format.

        Raises:
            CheckpointError: it cannot be written.
        """
        found = self.scores.get("all", {}).get(self.task.measure)
        facts = {
            "iterations": self.iteration,
            f"validation_{self.task.measure}": found,
            "validation": self.scores,
            "seconds": round(self._seconds()),
            "pairs_per_second": round(self.iteration * self.config.batch / max(self._seconds(), 1e-6), 1),
        }
        checkpoint = cast(Task, self.average.module).checkpoint(self.provenance | facts, self.config.rules)
        save_checkpoint(self.output / WEIGHTS, checkpoint)
        self.report.end()
        name = NAMES.get(self.task.measure, self.task.measure)
        log.info("done: validation %s %s, weights in %s", name, found, self.output / WEIGHTS)

    def _prepare_output(self) -> None:
        self.output.mkdir(parents=True, exist_ok=True)
        if not self.resumed and any((self.output / name).exists() for name in (STATE, WEIGHTS)):
            raise DataError(
                f"{self.output} holds a run already; add --resume to go on with it, or name another --output"
            )
        self.report.begin(self.iteration)

    def _batches(self, meter: Meter, stop: Signals) -> Iterator[dict[str, Any]]:
        """The batches from here to the end of the run, as long as all processes are well and nobody wants to stop."""
        c = self.config
        share = self.group.share(c.batch)
        starts = range(self.iteration * c.batch, c.iterations * c.batch, c.batch)
        batches = self.feed.batches(self.data, [range(s + share.start, s + share.stop) for s in starts])
        while self.iteration < c.iterations:
            failure: Exception | None = None
            try:
                with meter.waiting():
                    batch = next(batches)
            except Exception as error:  # the others have to hear of it before it goes on its way
                failure = None if stop.asked else error  # a signal to all may have ended the workers
            verdict = self.group.worst(FAIL if failure else STOP if stop.asked else GO)
            if verdict == GO:
                yield batch
                continue
            self.save()
            if verdict == STOP:
                stop.settle()  # the state is saved
                raise KeyboardInterrupt
            raise failure or PeerError("another process of the run failed")

    def _settle(self) -> None:
        """Add up over the processes what each has counted since the last time; all have to call it together."""
        if self._pending:
            losses = self.group.sum(torch.stack(self._pending)).tolist()
            self._pending = []
            for back, loss in enumerate(reversed(losses)):
                if not math.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss is {loss} at iteration {self.iteration - back}; lower the learning rate"
                    )
            self.losses += losses
        self.skipped += int(self.group.sum(torch.tensor(self._skipped_here)))
        self._skipped_here = 0

    def _write_row(self, meter: Meter, first: int) -> None:
        self._settle()
        steps_per_second, waiting = meter.lap()
        found = self.scores.get("all", {}).get(self.task.measure, math.nan)
        learning_rate = self.optimizer.param_groups[0]["lr"]
        speed = steps_per_second * self.config.batch
        loss = sum(self.losses) / len(self.losses)
        row = Row(self.iteration, loss, found, learning_rate, speed, waiting, self.skipped)
        spent = time.monotonic() - self._begun
        left = spent / (self.iteration - first) * (self.config.iterations - self.iteration)
        self.losses = []
        self.group.from_first(lambda: self.report.row(row, left / 60))

    def _seconds(self) -> float:
        return self._earlier + time.monotonic() - self._begun
