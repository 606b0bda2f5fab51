"""Nested data (JSON, literals of Python) compared value by value: numbers within tolerance, keys in any order.

Without recursion and with a bound: a recording may be nested as deeply as its reader allows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kernel_exec.compare.difference import short
from kernel_exec.compare.noise import without_noise
from kernel_exec.compare.terms import Manner, Terms
from kernel_exec.compare.words import mismatch

MANY_VALUES = 300_000
"""Values that are compared one by one."""

_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A UUID that was made up at random, as libraries name the parts of a chart in its JSON."""

Path = tuple["Path", Any] | None
_Pair = tuple[Path, Any, Any]


class _Nothing:
    """Stands where there is no value."""

    def __repr__(self) -> str:
        return "(nothing)"


NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Unlike:
    """Two values that differ.

    Attributes:
        place: where, such as `['a'][2]`.
        old: the value then; `NOTHING` where there was none.
        new: the value now.
    """

    place: str
    old: Any
    new: Any


def unlike(
    old: Any, new: Any, terms: Terms, *, typed: bool = False, manner: Manner = "data", many: int = 10
) -> list[Unlike]:
    """Return the values that differ, in order, at most `many`.

    Args:
        old: the data then.
        new: the data now.
        terms: how close numbers must be.
        typed: 1 and 1.0 differ, as they do in Python's reprs and do not in JSON.
        manner: how strings in it are read.
        many: how many are enough.
    """
    return list(islice(_Walk(terms, typed, manner).through(old, new), many))


@dataclass(frozen=True, slots=True)
class _Walk:
    terms: Terms
    typed: bool
    manner: Manner

    def through(self, old: Any, new: Any) -> Iterator[Unlike]:
        pending: list[_Pair] = [(None, old, new)]
        for _ in range(MANY_VALUES):
            if not pending:
                return
            path, ours, theirs = pending.pop()
            parts = _parts(path, ours, theirs)
            if parts is not None:
                pending += reversed(parts)
            elif not self._same(ours, theirs):
                yield Unlike(_place(path), ours, theirs)
        # What is left is compared at once, and exactly.
        yield from (Unlike(_place(path), ours, theirs) for path, ours, theirs in pending if not _equal(ours, theirs))

    def _same(self, old: Any, new: Any) -> bool:
        if isinstance(old, str) and isinstance(new, str):
            return old == new or self._same_text(old, new)
        if isinstance(old, float) and isinstance(new, float):
            return self.terms.rules.close(old, new)
        if {type(old), type(new)} == {int, float}:
            return not self.typed and _close(old, new, self.terms)
        return _equal(old, new)

    def _same_text(self, old: str, new: str) -> bool:
        if not self.typed and _RANDOM.fullmatch(old) and _RANDOM.fullmatch(new):
            return True
        if not self.terms.effort.spend(max(len(old), len(new))):
            return False
        ours, theirs = without_noise(old, self.manner), without_noise(new, self.manner)
        return mismatch(ours, theirs, self.terms, self.manner) is None


def _parts(path: Path, old: Any, new: Any) -> list[_Pair] | None:
    """Return the values in two containers of one kind, side by side; None when they are no such ones, or too large."""
    if type(old) is not type(new) or not isinstance(old, dict | list | tuple) or len(old) + len(new) > MANY_VALUES:
        return None
    if isinstance(old, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [((path, key), old.get(key, NOTHING), new.get(key, NOTHING)) for key in keys]
    length = max(len(old), len(new))
    return [((path, index), _item(old, index), _item(new, index)) for index in range(length)]


def _item(items: list[Any] | tuple[Any, ...], index: int) -> Any:
    return items[index] if index < len(items) else NOTHING


def _equal(old: Any, new: Any) -> bool:
    try:
        return type(old) is type(new) and bool(old == new)
    except RecursionError:
        return False


def _close(old: float, new: float, terms: Terms) -> bool:
    try:
        return terms.rules.close(old, new)
    except OverflowError:  # a whole number that is too large for a float
        return False


def _place(path: Path) -> str:
    keys: list[str] = []
    while path is not None and len(keys) < 8:
        path, key = path
        keys.append(f"[{short(repr(key), 40)}]")
    return ("..." if path is not None else "") + "".join(reversed(keys))
