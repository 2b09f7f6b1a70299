"""Constants of a tracker: numbers with a type and a range, in frozen dataclasses."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from d3s_vot.errors import InputError

C = TypeVar("C", bound="Constants")


def constant(default: float, low: float, high: float, *, of_weights: bool = False) -> Any:
    """A constant, the least and the largest that make sense, and whether trained weights hold for its value alone."""
    return field(default=default, metadata={"range": (low, high), "of_weights": of_weights})


@dataclass(frozen=True)
class Constants:
    """What a tracker's configuration is made of; every field is a `constant`.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    def __post_init__(self) -> None:
        for constant in fields(self):
            value, (low, high) = getattr(self, constant.name), constant.metadata["range"]
            try:
                number = operator.index(value) if constant.type in ("int", int) else float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if isinstance(value, bool | str) or not low <= number <= high:
                raise InputError(
                    f"the constant {constant.name} is {str(value)[:40]!r}; give a number ({constant.type}) from "
                    f"{low:g} to {high:g}"
                )
            object.__setattr__(self, constant.name, number)

    @classmethod
    def with_changes(cls: type[C], changes: Mapping[str, Any]) -> C:
        """The published constants but for some, by name.

        Raises:
            InputError: one is unknown or cannot be used.
        """
        known = {constant.name for constant in fields(cls)}
        for name in changes:
            if name not in known:
                raise InputError(f"there is no constant {name[:40]!r}; check its name")
        return cls(**changes)

    def changes(self) -> dict[str, float | int]:
        """The constants that differ from the published ones, by name."""
        return {name: value for name, value in asdict(self).items() if value != getattr(type(self), name)}

    def with_rules(self: C, rules: C) -> C:
        """Other rules for the same weights: what these were trained for stays."""
        kept = (constant.name for constant in fields(self) if constant.metadata["of_weights"])
        return replace(rules, **{name: getattr(self, name) for name in kept})
