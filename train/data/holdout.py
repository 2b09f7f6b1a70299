"""Videos that a run must never learn from, by a list of their names: they are validated on besides the usual ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from train.data.clips import Clip
from train.data.items import Item
from train.errors import DataError

T = TypeVar("T", Item, Clip)

log = logging.getLogger(__name__)


def read_names(path: Path) -> list[str]:
    """The names in a list, one a line: SET/VIDEO, SET/PICTURE.jpg, or SET alone for all of it.

    Raises:
        DataError: the list cannot be read, or has no name.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise DataError(f"the list {path} cannot be read ({reason}); give one SET/VIDEO a line") from None
    names = [line.strip().rstrip("/") for line in lines if line.strip()]
    if not names:
        raise DataError(f"the list {path} names nothing to hold out; give one SET/VIDEO a line, or leave it away")
    return names


def hold_out(items: Iterable[T], names: Iterable[str]) -> list[T]:
    """The same items, those of the named sets, videos and pictures held out too.

    Args:
        items: all objects of the training data.
        names: COLLECTION/GROUP of items, or the folders above that.

    Raises:
        DataError: a name belongs to no item.
    """
    wanted, met = set(names), set()
    held, more = [], 0
    for item in items:
        found = wanted.intersection(_names(item))
        met |= found
        more += bool(found) and not item.held_out
        held.append(replace(item, held_out=True) if found else item)
    if wanted - met:
        others = len(wanted - met) - 1
        besides = f", as are {others} names more" if others else ""
        raise DataError(f"{min(wanted - met)}, which is to be held out, is not in the data{besides}; correct the list")
    log.info("held out by name: %d objects more", more)
    return held


def _names(item: Item | Clip) -> list[str]:
    """All names that an item can be listed by.

    >>> from types import SimpleNamespace
    >>> _names(SimpleNamespace(collection="clips", group="zoo/bear"))
    ['clips', 'clips/zoo', 'clips/zoo/bear']
    """
    parts = [item.collection, *item.group.split("/")]
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
