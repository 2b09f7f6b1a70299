"""A VOT workspace as the toolkit has it: checked before anything runs, and with results that are written whole.

The toolkit is under the GPLv3: it is imported inside functions, when it is needed, by what drives it alone, and
never into the process of a tracker, which it speaks TraX to.
"""

from __future__ import annotations

import fnmatch
import inspect
import io
import logging
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from d3s_vot.errors import InputError
from d3s_vot.evaluation.runs.store import Store
from d3s_vot.evaluation.vot.stored import read_trajectory
from d3s_vot.interrupts import Interrupted, uninterrupted

MOST = 10_000  # repetitions of an experiment
TRAJECTORY = (".bin", ".txt")  # the file that marks a repetition as finished


def load(root: Path) -> Any:
    """The toolkit's workspace.

    Raises:
        InputError: it cannot be used, or there is no toolkit.
    """
    try:
        from vot import get_logger
        from vot.utilities.net import NetworkException
        from vot.workspace import Workspace
    except ImportError as error:
        raise InputError(f"the VOT toolkit is missing ({error}): pip install d3s-vot[vot]") from error
    get_logger().setLevel(logging.INFO)  # where it downloads the sequences it says so
    try:
        return Workspace.load(str(root))
    except NetworkException as error:
        raise InputError(
            f"the workspace {root} has no list of sequences, and they cannot be downloaded: {one_line(error)}"
        ) from error
    except Exception as error:  # of any kind: the toolkit takes its files as they come
        raise InputError(f"the workspace {root} cannot be used, see its config.yaml: {one_line(error)}") from error


def trackers(root: Path, workspace: Any, names: Sequence[str]) -> list[Any]:
    """The toolkit's trackers of these names, each once.

    Raises:
        InputError: there is no such tracker, or its entry in the registry is wrong.
    """
    from vot import ToolkitException
    from vot.tracker import _runtime_protocols

    found: dict[str, Any] = {}
    for name in names:
        try:
            resolved = workspace.registry.resolve(
                name, storage=workspace.storage.substorage("results"), skip_unknown=False
            )
        except ToolkitException:
            resolved = []
        if not resolved:
            known = ", ".join(workspace.registry.identifiers()) or "none"
            raise InputError(f"the registry of {root} has no tracker {name!r}; known: {known}")
        for tracker in resolved:
            if tracker.storage is not None:
                raise InputError(f"{name} has a `storage` of its own in {tracker.source}; use `vot evaluate` for it")
            try:
                if tracker.protocol in _runtime_protocols:  # an object that is only half made complains on stderr
                    takes = inspect.signature(_runtime_protocols[tracker.protocol])
                    takes.bind(tracker, "", envvars={}, arguments={}, log=False, **tracker._args)
                tracker.runtime()  # starts no process
            except Exception as error:  # of any kind, for a wrong key or value
                raise InputError(f"{name} cannot be run as {tracker.source} has it: {one_line(error)}") from error
            found[tracker.reference] = tracker
    return list(found.values())


def experiments(root: Path, workspace: Any, names: Collection[str] | None) -> list[Any]:
    """The toolkit's experiments of these names, None: all, in the order of the stack.

    Raises:
        InputError: the stack has none of such a name, or one with too many repetitions.
    """
    known = workspace.stack.experiments
    unknown = [name for name in names or [] if name not in known]
    if not known:
        raise InputError(f"the stack of {root} has no experiments; choose another in its config.yaml")
    if unknown:
        raise InputError(f"the stack of {root} has no experiment {', '.join(unknown)}; known: {', '.join(known)}")
    chosen = [experiment for name, experiment in known.items() if names is None or name in names]
    for experiment in chosen:
        if getattr(experiment, "repetitions", 1) > MOST:  # the toolkit looks for each of them
            raise InputError(f"the stack of {root} has more than {MOST} repetitions in {experiment.identifier}")
    return chosen


class WholeResults:
    """The toolkit's `Results` of one sequence, in which a repetition is there with all of its files or not at all.

    The toolkit writes a trajectory first and then its values, in place. Here all are kept until it asks for the
    next repetition, or `flush` says that there is none; then each is written whole, the trajectory last.

    Args:
        root: the workspace.
        name: of the folder below `results`: TRACKER/EXPERIMENT/SEQUENCE.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / "results" / name
        self._store, self._name = Store(root), name
        self._pending: dict[str, bytes] = {}

    def exists(self, name: str) -> bool:
        """Whether there is such a file."""
        self.flush()
        return (self.folder / name).is_file()

    def find(self, pattern: str) -> list[str]:
        """The files of which the name fits."""
        return fnmatch.filter(sorted(os.listdir(self.folder)) if self.folder.is_dir() else [], pattern)

    def read(self, name: str) -> IO[Any]:
        """Opens a file, trajectories (.bin) as bytes."""
        path = self.folder / name
        return path.open("rb") if path.suffix == ".bin" else path.open(newline="")

    @contextmanager
    def write(self, name: str) -> Iterator[IO[Any]]:
        """Takes the content of a file."""
        if name.endswith(".bin"):
            yield (data := io.BytesIO())
            self._pending[name] = data.getvalue()
        else:
            yield (text := io.StringIO(newline=""))
            self._pending[name] = text.getvalue().encode()

    def flush(self) -> None:
        """Puts what was taken into its place.

        Raises:
            D3SError: the folder cannot be written.
        """
        ordered = sorted(self._pending, key=lambda name: name.endswith(TRAJECTORY))
        self._store.write({f"{self._name}/{name}": self._pending[name] for name in ordered})
        self._pending.clear()


@contextmanager
def signals_between_frames(tracker: Any) -> Iterator[None]:
    """A signal to end is heeded after the tracker's answer: where C code of TraX calls Python's it would be lost."""
    if multiprocessing.parent_process() is not None:  # a worker, which is ended at once
        yield
        return
    with uninterrupted() as signals:
        runtime = tracker.runtime

        def heeding(answer: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                answered = answer(*arguments, **named)
                if signals.asked:
                    raise Interrupted
                return answered

            return call

        def start(*arguments: Any, **named: Any) -> Any:
            started = runtime(*arguments, **named)
            started.initialize, started.update = heeding(started.initialize), heeding(started.update)
            return started

        tracker.runtime = start
        yield


def check_results(results: WholeResults, experiment: Any, sequence: Any) -> int:
    """How many trajectories of a sequence there are.

    Args:
        results: of the sequence.
        experiment, sequence: the toolkit's.

    Raises:
        InputError: one is damaged, or of another length.
    """
    from vot.tracker import Trajectory

    names = [name for name in results.find(f"{sequence.name}_*") if name.endswith(TRAJECTORY)]
    for name in names:
        path = results.folder / name
        try:
            read_trajectory(path)  # the toolkit writes past its memory where the runs of a mask leave its box
            frames = len(Trajectory.read(results, path.stem))
        except Exception as error:  # of any kind, for a file that `vot evaluate` was killed over
            raise InputError(f"{path} is damaged ({one_line(error)}); remove it") from error
        if hasattr(experiment, "repetitions") and frames != len(sequence):
            raise InputError(f"{path} has {frames} frames and the sequence {len(sequence)}; remove it")
    return len(names)


def one_line(error: Exception) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
