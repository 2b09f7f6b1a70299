"""Where jobs run, what a worker is, and what a job gives that has no result."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import cv2

import d3s_vot
from d3s_vot.errors import D3SError, InputError

J = TypeVar("J")  # a job
R = TypeVar("R")  # its result


@dataclass(frozen=True)
class Place:
    """Where one worker runs.

    Attributes:
        device: "cpu", "cuda:0" ...
        threads: of the CPU.
    """

    device: str
    threads: int


@dataclass(frozen=True)
class Pool:
    """The user's switches.

    Attributes:
        workers: processes on this machine.
        threads: of the CPU, for each worker. Rounding depends on it, so it does not follow from `workers`.
        device: for all workers; "auto": one GPU each in turn, or the CPU where there is none.
        ray: address of a running cluster ("auto": the one on this machine), which then decides how many
            jobs run at once and on which GPU.
    """

    workers: int = 1
    threads: int = 1
    device: str = "auto"
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.workers < 1 or self.threads < 1:
            raise InputError(f"{self.workers} workers of {self.threads} threads: both must be 1 or more")
        if self.ray is not None and self.workers > 1:
            raise InputError("several workers are of this machine and a cluster has its own; choose one of the two")

    def places(self) -> list[Place]:
        """Where each worker on this machine runs."""
        import torch  # here and below, where it is needed: it takes seconds

        count = torch.cuda.device_count() if self.device == "auto" else 0
        devices = [f"cuda:{gpu}" for gpu in range(count)] or ["cpu" if self.device == "auto" else self.device]
        return [Place(devices[worker % len(devices)], self.threads) for worker in range(self.workers)]


@dataclass(frozen=True)
class Failure:
    """What a job gives instead of a result.

    Attributes:
        reason: one sentence.
    """

    reason: str


@dataclass(frozen=True)
class Refusal:
    """What a job gives where its worker could not even start; no other worker could."""

    error: D3SError


Start = Callable[[Place], Callable[[J], R]]  # makes a worker: loads the network, returns what does a job


def describe(error: BaseException) -> str:
    """One sentence on an error: our own ones say it all; others get their type and the line of ours they came from."""
    if isinstance(error, D3SError):
        return str(error)
    text = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}".rstrip(": ")
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    package = Path(d3s_vot.__file__).parent
    frame = ([frame for frame in frames[1:] if Path(frame.filename).is_relative_to(package)] or frames)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno})"


def begin(start: Start[J, R], place: Place) -> Callable[[J], R]:
    """Make this process a worker.

    Raises:
        D3SError: it cannot be one.
    """
    import torch

    torch.set_num_threads(place.threads)
    cv2.setNumThreads(place.threads)
    try:
        return start(place)
    except D3SError:
        raise
    except Exception as error:
        raise D3SError(f"a worker cannot start: {describe(error)}") from error


def attempt(work: Callable[[J], R], job: J) -> R | Failure:
    """The result of a job, or what went wrong."""
    try:
        return work(job)
    except Exception as error:
        return Failure(describe(error))


@lru_cache(maxsize=1)
def _begun(start: bytes, place: Place) -> Callable[[Any], Any]:
    return begin(lambda place: pickle.loads(start)(place), place)


def work_on(start: bytes, place: Place, job: Any) -> Any:
    """One job in another process, which becomes a worker with its first and stays one; `start` is pickled."""
    try:
        work = _begun(start, place)
    except D3SError as error:
        return Refusal(error)
    return attempt(work, job)
