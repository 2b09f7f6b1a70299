"""The command `d3s-vot`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toolkit
from waiting import PATIENCE

from d3s_vot import cli
from d3s_vot.errors import D3SError
from d3s_vot.evaluation.vot import experiments as vot_experiments


@pytest.mark.parametrize("command", ["sample", "evaluate", "results", "convert"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main([command, "--help"])
    assert done.value.code == 0
    assert f"example: d3s-vot {command}" in capsys.readouterr().out


def test_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["unknown"], ["results"], ["results", "a", "--json", "--csv"], ["evaluate", "a"]):
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        assert done.value.code == 2
    assert "usage: d3s-vot" in capsys.readouterr().err


def test_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "sequences"
    output.symlink_to(toolkit.sample())
    assert cli.main(["sample", "--output", str(output)]) == 0
    assert capsys.readouterr().out.count("there already") == 6


def test_results(capsys: pytest.CaptureFixture[str]) -> None:
    root = str(toolkit.evaluated())
    assert cli.main(["results", root]) == 0
    assert "StandIn" in capsys.readouterr().out
    assert cli.main(["results", root, "StandIn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["repetitions"] == 3
    assert cli.main(["results", root, "--csv"]) == 0
    assert capsys.readouterr().out.startswith("tracker,a,r100,eao,")
    assert cli.main(["results", root, "--markdown"]) == 0
    assert capsys.readouterr().out.startswith("| tracker | A |")


def test_evaluate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def note(root: Path, trackers: list[str], **switches: Any) -> None:
        switches.pop("say")(f"{root} {trackers} {switches}")

    monkeypatch.setattr(vot_experiments, "evaluate", note)
    assert cli.main(["evaluate", "here", "A", "B"]) == 0
    nothing = {"experiments": None, "workers": 1, "threads": None, "ray": None}
    assert capsys.readouterr().out == f"here ['A', 'B'] {nothing}\n"
    switches = ["--experiments", "x,y", "--workers", "4", "--threads", "2", "--ray", "host:6379"]
    assert cli.main(["evaluate", "here", "A", *switches]) == 0
    given = {"experiments": ["x", "y"], "workers": 4, "threads": 2, "ray": "host:6379"}
    assert capsys.readouterr().out == f"here ['A'] {given}\n"


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["results", str(tmp_path)],
        ["results", str(toolkit.evaluated()), "Nobody"],
        ["evaluate", str(tmp_path), "StandIn"],
        ["evaluate", str(tmp_path), "StandIn", "--workers", "0"],
        ["convert", str(tmp_path / "none.pth.tar"), str(tmp_path / "out.safetensors")],
    ):
        assert cli.main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.startswith("d3s-vot: ") and printed.err.count("\n") == 1


@pytest.mark.parametrize("error", [D3SError("out of luck"), OSError(28, "disk full"), KeyboardInterrupt()])
def test_failed_run(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "_sample", fail)
    assert cli.main(["sample"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("d3s-vot: ") and printed.count("\n") == 1


def test_what_takes_long_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("d3s_vot.compute.openvino")
    monkeypatch.setattr(cli, "_sample", lambda _: log.info("compiling"))
    assert cli.main(["sample"]) == 0
    assert capsys.readouterr().err == "compiling\n"
    log.info("compiling in a program")
    assert capsys.readouterr().err == ""


def test_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "d3s_vot.cli", "results", str(tmp_path)],
        cwd=toolkit.TESTS.parent,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "config.yaml" in done.stderr
