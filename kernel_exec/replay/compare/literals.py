"""Reprs of plain data read as what they mean: sets and dicts are equal in any order, as they are for Python's `==`."""

from __future__ import annotations

import ast
import warnings
from typing import Any

MAX_TEXT = 20_000
_OPEN, _CLOSE = "[{(", "]})"


def both_read(old: str, new: str) -> tuple[Any, Any] | None:
    """Return what two texts mean that are literals of Python, or have one between the same words; None otherwise.

    Only what has braces is worth reading: all else has an order, and is compared as text.
    """
    if "{" not in old or "{" not in new or max(len(old), len(new)) > MAX_TEXT:
        return None
    ours, theirs = _around(old), _around(new)
    if ours is None or theirs is None or (ours[0].split(), ours[2].split()) != (theirs[0].split(), theirs[2].split()):
        return None
    try:
        return _read(ours[1]), _read(theirs[1])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _around(text: str) -> tuple[str, str, str] | None:
    """Return what is before the first bracket, what is from there to the last one, and what is behind it."""
    start = min((place for bracket in _OPEN if (place := text.find(bracket)) >= 0), default=-1)
    end = max(text.rfind(bracket) for bracket in _CLOSE) + 1
    return (text[:start], text[start:end], text[end:]) if 0 <= start < end else None


def _read(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd escapes in what others wrote
        return ast.literal_eval(text)
