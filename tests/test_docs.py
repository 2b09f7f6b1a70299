"""The pages in docs/: they build, load nothing from elsewhere, and what they print can be typed."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest
from waiting import PATIENCE

from d3s_vot.cli import build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [page.name for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    words = [shlex.split(line.replace(".venv/bin/", ""), comments=True) for line in lines]
    return [line for line in words if line]


def got10k_run() -> ModuleType:
    pytest.importorskip("got10k", reason="needs got10k, of the extra got10k")
    return importlib.import_module("d3s_vot.got10k_run")


class Loads(HTMLParser):
    """Addresses that a browser loads with a page, without being asked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") not in ("next", "prev", "canonical"):
            self.found.append(values.get("href") or "")
        if tag not in ("a", "link"):
            self.found += [values[key] or "" for key in ("src", "srcset", "data", "poster") if key in values]
        self.found += re.findall(r"url\(([^)]*)\)", values.get("style") or "")


def test_the_pages_build_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason=f"needs {package}, of the extra docs")
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {page.stem for page in PAGES[1:]} <= {path.stem for path in tmp_path.glob("*.html")}
    loaded = [address for path in tmp_path.rglob("*.html") for address in Loads(path.read_text()).found]
    for path in tmp_path.rglob("*.css"):
        loaded += re.findall(r"(?:url\(|@import )([^);]*)", path.read_text())
    assert len(loaded) > 50
    assert [address for address in loaded if re.match(r"""["']?(https?:)?//""", address)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_are_understood(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for program, *rest in commands(page):
        if program == "d3s-vot":
            assert callable(build_parser().parse_args(rest).run)
        elif rest[:2] == ["-m", "d3s_vot.got10k_run"]:
            assert got10k_run().build_parser().parse_args(rest[2:]).dataset in rest
        elif program == "python" and rest[0] != "-m":
            assert (ROOT / rest[0]).is_file()
        elif program == "make":
            assert f"\n{rest[0]}:" in makefile


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_imports_in_python_code_are_right(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("d3s_vot"):
                module = got10k_run() if "got10k" in str(node.module) else importlib.import_module(str(node.module))
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_that_are_linked_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
