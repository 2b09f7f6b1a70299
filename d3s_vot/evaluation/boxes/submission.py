"""The zip that a server measures: written, and checked, whoever wrote it.

* got10k-test: SEQ/SEQ_001.txt, boxes, and SEQ/SEQ_time.txt, seconds, as the got10k toolkit packs them.
* trackingnet: SEQ.txt, boxes, without folders.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from d3s_vot.errors import InputError
from d3s_vot.evaluation.boxes.checks import some
from d3s_vot.evaluation.boxes.layouts import LAYOUTS, parse_numbers, read_boxes, read_times, write_file
from d3s_vot.evaluation.boxes.sequences import Sequence
from d3s_vot.leftovers import is_leftover

SERVERS = ("got10k-test", "trackingnet")
REPETITIONS = 3  # of a sequence, by the got10k toolkit, where a tracker is not deterministic
NEAR = 0.51  # pixels: the first box may be rounded, but not counted from another origin
LINE = 200  # bytes, more than a line of numbers needs
SHOWN = 20  # problems
EARLIEST = 1980, 1, 1, 0, 0, 0  # that a zip can say


def write_submission(name: str, tracker: str, sequences: list[Sequence], results: Path, target: Path) -> None:
    """Write the zip; the same results give the same bytes.

    Args:
        name: one of `SERVERS`.
        tracker: its name in the files.
        sequences: all that the server measures; results of others, such as GOT-10k val, stay outside.
        results: folder of the result files.
        target: the zip.

    Raises:
        InputError: the data set has no server, or is another, a result is missing or damaged, or the zip cannot be
            written.
    """
    if name not in SERVERS:
        raise InputError(f"{name} has no server; its report is made here")
    layout = LAYOUTS[name]
    members = {}
    for sequence in sequences:
        if name == "got10k-test" and (sequence.cover is not None or len(sequence.truth) > 1):
            raise InputError(f"{sequence.name} has its ground truth, so it is none of GOT-10k's test set")
        files = [layout.boxes(results, tracker, sequence.name)]
        read_boxes(files[0], len(sequence))
        if layout.nested:
            files.append(layout.times(results, tracker, sequence.name))
            read_times(files[1], len(sequence))
        for file in files:
            members[file.relative_to(results / layout.folder / tracker).as_posix()] = file.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in sorted(members.items()):
            archive.writestr(_entry(member), content)
    problems = list(islice(_problems(name, buffer, sequences), SHOWN))
    if problems:
        raise InputError(f"the server would refuse the submission: {'; '.join(problems)}")
    write_file(target, buffer.getvalue())


def _entry(member: str) -> zipfile.ZipInfo:
    """A file in the zip, without a date or anything else that changes."""
    entry = zipfile.ZipInfo(member, EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def check_submission(name: str, path: Path, sequences: list[Sequence]) -> list[str]:
    """All that is wrong with a zip made here or elsewhere; nothing, where the server can take it.

    Args:
        name: one of `SERVERS`.
        path: the zip.
        sequences: all that the server measures.

    Returns:
        A sentence a problem, of very many the first.

    Raises:
        InputError: the data set has no server.
    """
    if name not in SERVERS:
        raise InputError(f"{name} has no server, so it takes no zip; {' and '.join(SERVERS)} have")
    try:
        with path.open("rb") as file:
            problems = list(islice(_problems(name, file, sequences), SHOWN + 1))
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}"]
    return [*problems[:SHOWN], "there is more; mend these first"] if len(problems) > SHOWN else problems


def _problems(name: str, file: IO[bytes], sequences: list[Sequence]) -> Iterator[str]:
    """What is wrong with the zip in an open file."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        yield f"it is not a zip, or cut off ({error})"
        return
    with archive:
        entries = archive.infolist()
        yield from _listing_problems(name, entries, sequences)
        files = {_file(entry.filename): entry for entry in entries if not _hidden(entry)}
        for sequence in sequences:
            yield from _sequence_problems(name, archive, files, sequence)


def _file(member: str) -> str:
    """The last part of a member's name; it says what the file is, wherever it lies."""
    return member.replace("\\", "/").rpartition("/")[2]


def _wanted(name: str, sequence: Sequence) -> tuple[list[str], list[str]]:
    """The members of a sequence, first those it needs, then those it may have."""
    if name == "trackingnet":
        return [f"{sequence.name}.txt"], []
    place = f"{sequence.name}/{sequence.name}_"
    return [f"{place}001.txt", f"{place}time.txt"], [f"{place}{i + 1:03d}.txt" for i in range(1, REPETITIONS)]


def _listing_problems(name: str, entries: list[zipfile.ZipInfo], sequences: list[Sequence]) -> Iterator[str]:
    """What is wrong with the names in a zip."""
    wanted = [_wanted(name, sequence) for sequence in sequences]
    needed = [member for members, _ in wanted for member in members]
    by_file = {_file(member): member for both in wanted for members in both for member in members}
    places = {f"{sequence.name}/" for sequence in sequences} if LAYOUTS[name].nested else set()
    known: list[str] = []
    others: list[str] = []
    hidden: list[str] = []
    folders: list[str] = []
    for entry in entries:
        if _hidden(entry):
            hidden.append(entry.filename)
        elif entry.is_dir():
            folders += [entry.filename] * (entry.filename not in places)
        else:
            (known if _file(entry.filename) in by_file else others).append(entry.filename)
    backslashes = [member for member in known if "\\" in member]
    elsewhere = [member for member in known if member != by_file[_file(member)] and "\\" not in member]
    count = Counter(map(_file, known))
    twice = [file for file in count if count[file] > 1]
    missing = [member for member in needed if _file(member) not in count]
    if missing:
        yield f"these files are missing, {len(missing)} of {len(needed)}: {some(missing)}"
    if others:
        yield f"these files belong to no sequence of {name}, leave them out: {some(others)}"
    if hidden:
        yield f"these files are hidden or a Mac's, leave them out: {some(hidden)}"
    if folders:
        yield f"these folders should not be there, leave them out: {some(folders)}"
    if backslashes:
        yield f"these names have backslashes, where / parts folders: {some(backslashes)}"
    if elsewhere:
        yield f"these files lie in a wrong place, the first should be {by_file[_file(elsewhere[0])]}: {some(elsewhere)}"
    if twice:
        yield f"these files are there twice: {some(twice)}"


def _hidden(entry: zipfile.ZipInfo) -> bool:
    """Whether a file or folder is not meant to be seen."""
    parts = entry.filename.replace("\\", "/").split("/")
    return any(part.strip(".") and is_leftover(part) for part in parts)


def _sequence_problems(
    name: str, archive: zipfile.ZipFile, files: dict[str, zipfile.ZipInfo], sequence: Sequence
) -> Iterator[str]:
    """What is wrong with the files of a sequence, as far as they are there; one sentence a file."""
    needed, optional = _wanted(name, sequence)
    found = [_file(member) for member in needed + optional if _file(member) in files]
    boxes = [file for file in found if file != f"{sequence.name}_time.txt"]
    for file in found:
        entry, timed = files[file], file not in boxes
        try:
            # of a repetition the toolkit puts the times into a column of their own
            numbers = parse_numbers(_text(archive, entry, len(sequence)), max(len(boxes), 1) if timed else 4)
            if len(numbers) != len(sequence):
                raise ValueError(f"it has {len(numbers)} lines for {len(sequence)} frames")
            wrong = (numbers if timed else numbers[:, 2:]) <= 0
            if wrong.any():
                line = int(np.flatnonzero(wrong.any(axis=1))[0]) + 1
                raise ValueError(f"line {line} has a {'time' if timed else 'size'} that is not positive")
            if not timed and np.abs(numbers[0] - sequence.truth[0]).max() > NEAR:
                given = ",".join(f"{value:g}" for value in sequence.truth[0])
                raise ValueError(f"its first line is not the given box, {given}")
        except ValueError as error:
            yield f"{entry.filename}: {error}"


def _text(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, frames: int) -> str:
    """A file in the zip, no longer than numbers of so many frames can be.

    Raises:
        ValueError: it cannot be read, with a clause that says why.
    """
    if entry.flag_bits & 1:
        raise ValueError("it is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is packed in an unusual way; use deflate")
    most = LINE * (frames + 1)
    try:
        with archive.open(entry) as member:
            content = member.read(most + 1)  # its header may lie
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        raise ValueError(f"it is damaged ({error})") from None
    if len(content) > most:
        raise ValueError(f"it is longer than {frames} lines of numbers")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise ValueError("it is not plain text") from None
