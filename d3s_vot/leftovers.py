"""Files and folders that systems and programs leave beside a user's: one rule for every folder that is listed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

# Of Windows, of archives packed on a Mac, of Synology's disks; written small.
_NAMES = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found"}


def is_leftover(name: str) -> bool:
    """Whether a file or folder of this name is not the user's: hidden (`._0001.jpg` of a Mac, `.ipynb_checkpoints`,
    a file that is only half written), or one of a system's own.

    >>> [is_leftover(name) for name in ("._0001.jpg", "Thumbs.db", "__MACOSX", "0001.jpg")]
    [True, True, True, False]
    """
    return name.startswith(".") or name.lower() in _NAMES or name == "Icon\r"


def without_leftovers(paths: Iterable[Path]) -> list[Path]:
    """The other paths, sorted; their own names count, not those of the folders that they lie in."""
    return sorted(path for path in paths if not is_leftover(path.name))
