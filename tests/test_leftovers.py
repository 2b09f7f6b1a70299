"""Which names in a folder are no user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from d3s_vot.leftovers import is_leftover, without_leftovers


@pytest.mark.parametrize(
    "name",
    [".DS_Store", "._00000001.jpg", ".ipynb_checkpoints", ".cat.txt.0123abcd.part", "Thumbs.db", "THUMBS.DB",
     "desktop.ini", "__MACOSX", "@eaDir", "Icon\r"],
)  # fmt: skip
def test_what_systems_leave(name: str) -> None:
    assert is_leftover(name)


@pytest.mark.parametrize("name", ["00000001.jpg", "_.png", "Icon", "cat.hidden", "MACOSX", "a thumbs.db"])
def test_what_is_a_users(name: str) -> None:
    assert not is_leftover(name)


def test_only_the_last_part_of_a_path_counts() -> None:
    """A user's data may lie in a hidden folder."""
    paths = [Path(".cache/b.jpg"), Path(".cache/._b.jpg"), Path(".cache/a.jpg")]
    assert without_leftovers(paths) == [Path(".cache/a.jpg"), Path(".cache/b.jpg")]
