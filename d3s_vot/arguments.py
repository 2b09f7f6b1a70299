"""Kinds of arguments that several command lines take."""

from __future__ import annotations


def whole_number(text: str) -> int:
    """A whole number of 1 or more.

    >>> whole_number("3")
    3
    """
    value = int(text)
    if value < 1:
        raise ValueError
    return value


whole_number.__name__ = "whole number of 1 or more"  # argparse says "invalid ... value"
