"""The folder of one run: a manifest, result files written whole, and the refusal to mix two runs.

    FOLDER/manifest.json   settings, versions and checksums; a later run must agree with them
    FOLDER/results/...     the files of finished sequences
    FOLDER/report/...      figures and curves
    FOLDER/*.zip           the submission

A file under its own name is whole: it was written under another and renamed. So a sequence is finished when all
of its files are there, and a run that was killed goes on with the others.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from d3s_vot.errors import D3SError, InputError
from d3s_vot.files import write_whole
from d3s_vot.locks import LOCK, lock

MANIFEST = "manifest.json"
SHOWN = 8  # differences that a message lists


@dataclass(frozen=True)
class Manifest:
    """What a run is.

    Attributes:
        settings: all that results depend on, JSON values by name; a later run must have the same.
        information: good to know, and free to change: paths, dates, the machine.
        sequences: frames of each, by name; a later run may add others.
        data: what of each sequence's files its results depend on, by name; see `Benchmark.data`.
    """

    settings: dict[str, Any]
    information: dict[str, Any]
    sequences: dict[str, int]
    data: dict[str, dict[str, str]] = field(default_factory=dict)

    def differences(self, other: Manifest) -> list[str]:
        """Where another manifest disagrees, old value first.

        >>> Manifest({"threads": 1}, {}, {"cat": 50}).differences(Manifest({"threads": 2}, {}, {"dog": 70}))
        ['threads was 1, is 2']
        """
        old, new = _flat(self.settings), _flat(other.settings)
        found = [f"{k} was {old.get(k)}, is {new.get(k)}" for k in old | new if old.get(k) != new.get(k)]
        both = self.sequences.keys() & other.sequences.keys()
        return found + [
            f"{name} had {self.sequences[name]} frames, has {other.sequences[name]}"
            for name in sorted(both)
            if self.sequences[name] != other.sequences[name]
        ]

    def data_differences(self, data: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Where the data of sequences are others, old value first.

        >>> Manifest({}, {}, {}, {"cat": {"first box": "1,2,3,4"}}).data_differences({"cat": {"first box": "1,2,3,5"}})
        ['first box of cat was 1,2,3,4, is 1,2,3,5']
        """
        return [
            f"{what} of {name} was {old}, is {data[name][what]}"
            for name in sorted(self.data.keys() & data.keys())
            for what, old in self.data[name].items()
            if what in data[name] and data[name][what] != old
        ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"versions": {"torch": ...}} as {"versions torch": ...}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name} ") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


class Store:
    """The folder of one run.

    Args:
        folder: made by `locked` where it is missing.
        manifest: name of that file.
        advice: what to do where the results are of another run.
    """

    def __init__(
        self,
        folder: Path,
        manifest: str = MANIFEST,
        advice: str = "choose another output folder, or --restart to remove them",
    ) -> None:
        self.folder = folder
        self.results = folder / "results"
        self._manifest, self._advice = folder / manifest, advice

    def finished(self, paths: Iterable[str]) -> bool:
        """Whether all of a sequence's files, relative to `results`, are there."""
        return all((self.results / path).is_file() for path in paths)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the folder for this run alone, and free it of what a killed one left half-written.

        Raises:
            InputError: the folder cannot be written, or is in use.
        """
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / LOCK).open("a")
        with file:  # its end, even by a kill, unlocks
            with self._usable():
                lock(file, self.folder)
                self._tidy()
            try:
                yield
            finally:
                with suppress(OSError):  # the folder may be gone, or full; the next run tidies up
                    self._tidy()

    def _tidy(self) -> None:
        """Remove what processes left half-written that were killed, such as workers of a run that was told to end."""
        for partial in self.folder.rglob(".*.part"):
            partial.unlink()

    def agree(self, manifest: Manifest, restart: bool = False, again: Collection[str] = ()) -> Manifest:
        """Compare with earlier runs; nothing is changed.

        Args:
            manifest: of this run.
            restart: the earlier results are to be removed, so only whose they are counts.
            again: sequences without results, whose data may have changed.

        Returns:
            The manifest of all these runs together.

        Raises:
            InputError: results of other settings would be mixed, or those of other sequences removed.
        """
        earlier = self._earlier()
        if earlier is None:
            return manifest
        if restart:
            others = sorted(earlier.sequences.keys() - manifest.sequences.keys())
            if others:
                raise InputError(
                    f"--restart would also remove the results of {len(others)} other sequences ({others[0]} ...) "
                    f"from {self.folder}; leave out --sequences, or choose another output folder"
                )
            return manifest
        counts = {name: count for name, count in manifest.sequences.items() if name not in again}
        differences = earlier.differences(replace(manifest, sequences=counts))
        if differences:
            shown = "; ".join(differences[:SHOWN] + ["..."] * (len(differences) > SHOWN))
            raise InputError(f"{self.folder} holds results of other settings ({shown}); {self._advice}")
        self._compare(earlier, {name: data for name, data in manifest.data.items() if name not in again})
        begun = {name: value for name, value in earlier.information.items() if name == "created"}
        information = manifest.information | begun
        return Manifest(
            manifest.settings, information, earlier.sequences | manifest.sequences, earlier.data | manifest.data
        )

    def agree_on_data(self, data: Mapping[str, Mapping[str, str]]) -> None:
        """Compare the data of finished sequences with those that they were made of, as far as that is known.

        Raises:
            InputError: they are others.
        """
        if self._manifest.exists() and (earlier := self._earlier()) is not None:
            self._compare(earlier, data)

    def _compare(self, earlier: Manifest, data: Mapping[str, Mapping[str, str]]) -> None:
        differences = earlier.data_differences(data)
        if differences:
            shown = "; ".join(differences[:SHOWN] + ["..."] * (len(differences) > SHOWN))
            raise InputError(
                f"{self.folder} holds results of other data ({shown}); remove those of these sequences, or "
                f"{self._advice}"
            )

    def begin(self, manifest: Manifest, restart: bool = False, again: Collection[str] = ()) -> None:
        """Write the manifest; `agree` says what may go wrong.

        Args:
            manifest: of this run.
            restart: remove the manifest, results, report and submission of earlier runs first.
            again: sequences without results, whose data may have changed.
        """
        together = self.agree(manifest, restart, again)
        with self._usable():
            if restart and self._manifest.exists():
                for folder in (self.results, self.folder / "report"):
                    if folder.exists():
                        shutil.rmtree(folder)
                for submission in self.folder.glob("*.zip"):
                    submission.unlink()
                self._manifest.unlink()  # last: without it the results would not be known as ours
            write_whole(self._manifest, (json.dumps(asdict(together), indent=2) + "\n").encode())

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write a sequence's files, each whole.

        Args:
            files: their content, by path relative to `results`.

        Raises:
            D3SError: the disk is full, or the folder can no longer be written.
        """
        for name, content in files.items():
            try:
                path = self.results / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
            except OSError as error:
                raise D3SError(
                    f"{self.results / name} cannot be written ({error.strerror}); mend that and run the same "
                    "command again, finished sequences are kept"
                ) from error

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"the output folder {self.folder} cannot be used ({error.strerror}); choose another one"
            ) from error

    def _earlier(self) -> Manifest | None:
        path = self._manifest
        if not path.exists():
            if self.results.exists():
                raise InputError(f"{self.folder} holds results but no {path.name}; choose another output folder")
            return None
        with self._usable():
            text = path.read_bytes()
        try:
            manifest = Manifest(**json.loads(text))
            if not all(isinstance(getattr(manifest, part.name), dict) for part in fields(Manifest)):
                raise TypeError
            if not all(isinstance(data, dict) for data in manifest.data.values()):
                raise TypeError
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path} is damaged, so its results cannot be gone on with; {self._advice}") from error
        return manifest

