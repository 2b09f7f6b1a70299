"""From a dataset of pairs to batches on the device, made by worker processes.

On a CPU the workers also render the pairs; for a GPU they hand over layers, and the GPU renders.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from train.augment.render import Renderer, collate, make_batch
from train.config import PairConfig
from train.errors import DataError

Batch = dict[str, Tensor]
Gather = Callable[[list[Any]], dict[str, Any]]  # pairs to a batch


class Feed:
    """Makes batches of pairs and puts them on a device.

    Args:
        pairs: how they are made.
        device: where the batches are needed.
        workers: processes that make them; 0: this one does.
        gather: makes a batch of pairs that need no rendering; None: they are of masks, and rendered.
    """

    def __init__(
        self, pairs: PairConfig, device: torch.device, workers: int, gather: Gather | None = None
    ) -> None:
        self.device, self.workers = device, workers
        self.on_device = device.type == "cuda"
        self.collate = gather or (collate if self.on_device else make_batch(pairs))
        self.renderer = Renderer(pairs) if self.on_device and gather is None else None

    def batches(self, dataset: Dataset[Any], numbers: Sequence[range]) -> Iterator[dict[str, Any]]:
        """Batches of the pairs of these numbers, one batch for each range, still on the CPU.

        Besides tensors they hold `collection`, the name of each pair's set, and `skipped`, how many broken pictures
        were met.

        Raises:
            DataError: a worker could not make a pair, or died.
        """
        loader = iter(
            DataLoader(
                dataset,
                batch_sampler=_Numbers(numbers),
                num_workers=self.workers,
                collate_fn=self.collate,
                pin_memory=self.on_device,
                worker_init_fn=_begin_worker,
            )
        )
        with contextlib.suppress(ValueError):  # not the main thread: torch has set no handler either
            # torch reports a dead worker from a signal handler, wherever we are by then: amid an optimiser step, say.
            # Without that handler it is noticed, seconds later, where the next batch is asked for.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while True:
            try:
                batch = next(loader)
            except StopIteration:
                return
            except DataError as error:
                # A worker's error arrives with its traceback in the text; the last line is the sentence.
                line = str(error).strip().splitlines()[-1]
                raise DataError(line.removeprefix(f"{DataError.__module__}.{DataError.__name__}: ")) from error
            except RuntimeError as error:
                if "DataLoader worker" not in str(error):
                    raise
                raise DataError(
                    f"a process that makes pairs died ({error}), maybe for want of memory or of shared memory "
                    "(/dev/shm); lower --workers"
                ) from error
            yield batch

    def place(self, batch: dict[str, Any]) -> Batch:
        """The tensors of a batch on the device, rendered: what `Renderer` gives, without names and counts."""
        moved = {k: v.to(self.device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in batch.items()}
        rendered = moved if self.renderer is None else self.renderer(moved)
        return {k: v for k, v in rendered.items() if k not in ("collection", "skipped")}


class _Numbers(Sampler[list[int]]):
    """Ranges of pair numbers as DataLoader wants them."""

    def __init__(self, numbers: Sequence[range]) -> None:
        self.numbers = numbers

    def __iter__(self) -> Iterator[list[int]]:
        return map(list, self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def _begin_worker(_: int) -> None:
    """One thread each; Ctrl-C, which reaches the whole process group, is the main process's matter.

    SIGTERM ends the worker, whatever the main process made of it: that is how Python ends workers.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
