"""What a benchmark is to the program that runs it: sequences, a worker that tracks one, files, a report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from d3s_vot.evaluation.runs.pools import Place
from d3s_vot.zoo import Choice


class Video(Protocol):
    """A sequence, as far as the program looks."""

    @property
    def name(self) -> str:
        """Also the name of its files."""

    def __len__(self) -> int:
        """Number of frames."""


V = TypeVar("V", bound=Video)  # a sequence
R = TypeVar("R")  # what tracking it gives


class Benchmark(ABC, Generic[V, R]):
    """One benchmark: where its data lie, how a sequence of it is tracked, what is written and measured.

    Attributes:
        name: on the command line, and of the folder of its runs.
        server: whether the truth is kept by a server, which wants a zip.
        masks: whether its answers are masks, which not every tracker gives.
    """

    name: str
    server: bool
    masks: bool = False

    @abstractmethod
    def open(self, root: Path, names: Collection[str] | None = None) -> list[V]:
        """The sequences under `root`, in the benchmark's order; those called `names` alone where given.

        Raises:
            InputError: this is not the benchmark's folder, or there is no sequence of that name.
        """

    @abstractmethod
    def check(self, sequences: list[V], seen: Callable[[V], None] = lambda _: None) -> list[str]:
        """Everything that is wrong with the files, a sentence each; `seen` is called after each sequence."""

    @abstractmethod
    def data(self, sequence: V) -> dict[str, str]:
        """What of a sequence's files its results depend on, by what it is called: first region and frames."""

    @abstractmethod
    def worker(self, choice: Choice) -> Callable[[Place], Callable[[V], R]]:
        """What `run_jobs` starts its workers with; picklable."""

    @abstractmethod
    def paths(self, tracker: str, sequence: V) -> tuple[str, ...]:
        """The files of one finished sequence, relative to the folder of results."""

    @abstractmethod
    def files(self, tracker: str, sequence: V, result: R) -> dict[str, bytes]:
        """The content of each of `paths`."""

    @abstractmethod
    def report(self, tracker: str, sequences: list[V], results: Path, folder: Path) -> str:
        """Measure finished sequences; writes performance.json and curves into `folder`, returns the table.

        Raises:
            InputError: a result is missing or damaged.
        """

    def measurable(self, sequences: list[V]) -> bool:
        """Whether the truth of these is at hand, so that `report` can measure them."""
        return not self.server

    def submission(self, tracker: str, sequences: list[V], results: Path, target: Path) -> None:
        """Write the zip that the server takes, checked.

        Raises:
            InputError: there is no server, or a result is missing or damaged.
        """
        raise NotImplementedError(f"{self.name} has no server")
