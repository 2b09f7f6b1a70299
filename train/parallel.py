"""The processes that torchrun starts for one run: their group, sums over them, and batch norm over all of a batch.

    torchrun --nproc-per-node 2 -m train --data youtube-vos=../ytvos --output runs/two

Each process takes its contiguous share of every batch. What each adds up (loss, weights, gradients, moments of batch
norm) is summed over the processes, so that their number changes the result by rounding only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from d3s_vot.compute.device import choose_device
from train.errors import DataError

T = TypeVar("T")

PATIENCE = timedelta(hours=2)  # the first process may index the data for long


class PeerError(Exception):
    """Another process of the run failed, and says why."""


@dataclass(frozen=True)
class Group:
    """The processes of a run; a single one unless torchrun started it.

    Attributes:
        rank: of this process.
        size: number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Group:
        """Join the processes that torchrun started; without torchrun, a group of one."""
        if not dist.is_torchelastic_launched():
            return cls()
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # Over gloo, the processes agree on what to do next without waiting for their GPUs.
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size())

    def leave(self) -> None:
        """The end of what `join` began."""
        if dist.is_initialized():
            dist.destroy_process_group()
            # A thread of gloo lets go of the tensors of the last transfer only when it gets Python's lock; an
            # interpreter that ends before would abort.
            time.sleep(0.2)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """The part of `count` things in a row that falls to this process."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def check_batch(self, batch: int) -> None:
        """Raise DataError unless all processes get the same number of pairs of a batch."""
        if batch % self.size:
            raise DataError(f"a batch of {batch} pairs cannot be shared evenly among {self.size} processes; "
                            f"make --batch a multiple of {self.size}")  # fmt: skip

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over all processes, in place and without gradient."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes, in one transfer."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        packed = self.sum(torch.cat([g.flatten() for g in gradients]))
        for gradient, part in zip(gradients, packed.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def worst(self, code: int) -> int:
        """The largest code that any process gives."""
        if self.size == 1:
            return code
        codes = torch.tensor(code)
        dist.all_reduce(codes, dist.ReduceOp.MAX)
        return int(codes)

    def gather(self, values: list[T]) -> list[T]:
        """The lists of all processes, one after the other."""
        if self.size == 1:
            return values
        lists: list[list[T]] = [[] for _ in range(self.size)]
        dist.all_gather_object(lists, values)
        return [value for part in lists for value in part]

    def together(self, work: Callable[[], T]) -> T:
        """What each process makes for itself, where no process fails.

        Raises:
            Exception: of `work`, where it failed.
            PeerError: in the others then, which would wait for that process for ever.
        """
        failure: Exception | None = None
        try:
            made = work()
        except Exception as error:
            failure = error
        failed = self.worst(int(failure is not None))
        if failure is not None:
            raise failure
        if failed:
            raise PeerError("another process of the run failed")
        return made

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all.

        Raises:
            Exception: of `make`, in the first process.
            PeerError: in the others then.
        """
        if self.size == 1:
            return make()
        box: list[Any] = [None, False]
        failure: Exception | None = None
        if self.first:
            try:
                box = [make(), True]
            except Exception as error:  # the others wait: they have to hear of it before it goes on its way
                failure = error
        dist.broadcast_object_list(box)
        if failure is not None:
            raise failure
        if not box[1]:
            raise PeerError("the first process of the run failed")
        return cast(T, box[0])


def choose_process_device(name: str) -> torch.device:
    """The device of this process: under torchrun each takes the GPU of its own number.

    Raises:
        InputError: unknown, or not on this machine.
        DataError: several processes are to share one GPU.
    """
    device = choose_device(name)
    if device.type != "cuda" or not dist.is_torchelastic_launched():
        return device
    if device.index is not None and int(os.environ["LOCAL_WORLD_SIZE"]) > 1:
        raise DataError(f"--device {name} is one GPU for several processes; use --device cuda, and each takes its own")
    return choose_device(f"cuda:{os.environ['LOCAL_RANK'] if device.index is None else device.index}")


def synchronize_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """A module whose batch norm takes its moments over the batches of all processes; parameters are kept."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(module)
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SyncBatchNormCPU.of(child))
        else:
            synchronize_batch_norm(child, device)
    return module


class SyncBatchNormCPU(nn.BatchNorm2d):
    """What `torch.nn.SyncBatchNorm` is on a GPU; that one refuses the CPU. All processes hold equal shares."""

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> SyncBatchNormCPU:
        """The same layer, synchronised; its parameters and buffers are the same objects."""
        new = cls(norm.num_features, norm.eps, norm.momentum)
        new._parameters, new._buffers = norm._parameters, norm._buffers
        return new.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise B x C x H x W."""
        if not self.training:
            return super().forward(x)
        wide = x.float()
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _SumOverProcesses.apply(wide.sum(dim=(0, 2, 3))) / count  # C
        offset = wide - mean.view(1, -1, 1, 1)  # B x C x H x W
        variance = _SumOverProcesses.apply(offset.square().sum(dim=(0, 2, 3))) / count  # C
        with torch.no_grad():
            momentum = cast(float, self.momentum)
            cast(Tensor, self.running_mean).lerp_(mean, momentum)
            cast(Tensor, self.running_var).lerp_(variance * count / (count - 1), momentum)
            cast(Tensor, self.num_batches_tracked).add_(1)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # C
        return (offset * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(x.dtype)


class _SumOverProcesses(torch.autograd.Function):
    """Sum over processes. Each process's loss depends on it, so that its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
