"""One run at a time in a folder."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from d3s_vot.errors import InputError
from d3s_vot.locks import locked


def test_a_second_run_is_refused_as_long_as_the_first_lasts(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    with locked(folder):
        with pytest.raises(InputError, match=r"another run is writing to .*run; wait for it"), locked(folder):
            pass
        with locked(tmp_path / "other"):  # each folder has its own
            pass
    with locked(folder):
        assert folder.is_dir()


def test_where_there_are_no_locks_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path):
        assert (tmp_path / ".lock").exists()
