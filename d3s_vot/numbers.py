"""Numbers as callers have them: of Python, numpy, torch or PIL, single ones and arrays."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from d3s_vot.errors import InputError


def number(value: Any) -> float:
    """A coordinate as callers have it: a number of Python, numpy or torch, or a text of one.

    Raises:
        InputError: it is something else.
    """
    try:
        return float(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        text = " ".join(str(value).split())[:40]
        raise InputError(f"a box is x, y, w, h as numbers, and {text!r} is none") from error


def array_of(values: Any, what: str, dtype: type | None = None) -> NDArray[Any]:
    """Numbers as callers have them: an array, a tensor on any device, a PIL image, or lists.

    Raises:
        InputError: they are something else, such as lists of different lengths.
    """
    torch = sys.modules.get("torch")  # whoever has a tensor has imported it
    try:
        if torch is not None and isinstance(values, torch.Tensor):
            values = values.detach().cpu()
            values = (values.float() if values.is_floating_point() else values).numpy()
        elif not hasattr(values, "__array__") and isinstance(values, Iterable):
            values = list(values)
        return np.array(values, dtype)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InputError(f"{what} cannot be read as numbers; give an array, or lists of the same length") from error
