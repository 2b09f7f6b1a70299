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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
    """

    settings: dict[str, Any]
    information: dict[str, Any]
    sequences: dict[str, int]

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
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"

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
                for partial in self.folder.rglob(".*.part"):
                    partial.unlink()
            yield

    def agree(self, manifest: Manifest, restart: bool = False) -> Manifest:
        """Compare with earlier runs; nothing is changed.

        Args:
            manifest: of this run.
            restart: the earlier results are to be removed, so only whose they are counts.

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
        differences = earlier.differences(manifest)
        if differences:
            shown = "; ".join(differences[:SHOWN] + ["..."] * (len(differences) > SHOWN))
            raise InputError(
                f"{self.folder} holds results of other settings ({shown}); choose another output folder, or "
                "--restart to remove them"
            )
        information = manifest.information | {"created": earlier.information.get("created")}
        return Manifest(manifest.settings, information, earlier.sequences | manifest.sequences)

    def begin(self, manifest: Manifest, restart: bool = False) -> None:
        """Write the manifest; `agree` says what may go wrong.

        Args:
            manifest: of this run.
            restart: remove the manifest, results, report and submission of earlier runs first.
        """
        together = self.agree(manifest, restart)
        with self._usable():
            if restart and (self.folder / MANIFEST).exists():
                for folder in (self.results, self.folder / "report"):
                    if folder.exists():
                        shutil.rmtree(folder)
                for submission in self.folder.glob("*.zip"):
                    submission.unlink()
                (self.folder / MANIFEST).unlink()  # last: without it the results would not be known as ours
            write_whole(self.folder / MANIFEST, (json.dumps(asdict(together), indent=2) + "\n").encode())

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
        path = self.folder / MANIFEST
        if not path.exists():
            if self.results.exists():
                raise InputError(f"{self.folder} holds results but no {MANIFEST}; choose another output folder")
            return None
        with self._usable():
            text = path.read_bytes()
        try:
            return Manifest(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} is damaged; choose another output folder, or remove this one") from error
