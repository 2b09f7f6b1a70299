"""Paths as callers give them."""

from __future__ import annotations

import os
from pathlib import Path

from d3s_vot.errors import InputError


def as_path(path: object, what: str) -> Path:
    """A path that a caller gave as text, bytes or `Path`.

    Args:
        path: what was given.
        what: it is the path of, for the error's sentence.

    Raises:
        InputError: it is something else, or no file can have that name.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise InputError(f"{what} is given as {type(path).__name__}; give its path as text or Path")
    text = os.fsdecode(path)
    if "\0" in text:
        raise InputError(f"the path of {what} holds a null character; check the path")
    return Path(text)
