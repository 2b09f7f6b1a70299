"""The tracker of docs/new_tracker.md, registered as that page says; as a program, the TraX process with it."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

from d3s_vot import vot, zoo
from d3s_vot.model import Model
from d3s_vot.trackers.names import family
from d3s_vot.weights.checkpoint import Checkpoint

PAGE = Path(__file__).resolve().parents[1] / "docs" / "new_tracker.md"


def build() -> type[Model]:
    """The class, from the page's first piece of code."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    module = sys.modules["new_tracker"] = types.ModuleType("new_tracker")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    return module.__dict__["NCCModel"]


NCC = build()


def family_with_it(tracker: str) -> type[Model]:
    """`family` with one case more."""
    return NCC if tracker == "NCC" else family(tracker)


def checkpoint(**config: int) -> Checkpoint:
    """Its weights: none."""
    return Checkpoint.create({}, "NCC", config)


if __name__ == "__main__":
    zoo.family = family_with_it
    sys.exit(vot.main())
