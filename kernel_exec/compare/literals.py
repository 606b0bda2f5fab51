"""Reprs of plain data read as what they mean: sets and dicts are equal in any order, as they are for Python's `==`."""

from __future__ import annotations

import ast
import re
from typing import Any

MAX_TEXT = 20_000
_ODD = re.compile(r"\\[^\\'\"abfnrtvxuUN0-7\n]|\b\d+(?:and|else|for|if|in|is|not|or)\b")
"""What Python warns about when it reads it."""
_OPEN, _CLOSE = "[{(", "]})"


def both_read(old: str, new: str) -> tuple[Any, Any] | None:
    """Return what two texts mean that are literals of Python, or have one between the same words; None otherwise.

    Only what has braces is worth reading: all else has an order, and is compared as text.
    """
    if "{" not in old or "{" not in new or max(len(old), len(new)) > MAX_TEXT:
        return None
    if _ODD.search(old) or _ODD.search(new):
        return None
    ours, theirs = _around(old), _around(new)
    if ours is None or theirs is None or (ours[0].split(), ours[2].split()) != (theirs[0].split(), theirs[2].split()):
        return None
    try:
        return ast.literal_eval(ours[1]), ast.literal_eval(theirs[1])
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _around(text: str) -> tuple[str, str, str] | None:
    """Return what is before the first bracket, what is from there to the last one, and what is behind it."""
    start = min((place for bracket in _OPEN if (place := text.find(bracket)) >= 0), default=-1)
    end = max(text.rfind(bracket) for bracket in _CLOSE) + 1
    return (text[:start], text[start:end], text[end:]) if 0 <= start < end else None
