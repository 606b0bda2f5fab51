"""Nested data (JSON, literals of Python) compared value by value: numbers within tolerance, keys in any order.

Without recursion and with a bound: a recording may be nested as deeply as its reader allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from kernel_exec.replay.compare.difference import short
from kernel_exec.replay.compare.noise import without_noise
from kernel_exec.replay.compare.terms import Terms
from kernel_exec.replay.compare.words import mismatch

MANY_VALUES = 300_000
"""Values that are compared; what is beyond them is not."""
_LONG_STRING = 10_000

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


def unlike(old: Any, new: Any, terms: Terms, *, typed: bool, many: int = 10) -> list[Unlike]:
    """Return the values that differ, in order, at most `many`.

    Args:
        old: the data then.
        new: the data now.
        terms: how close numbers must be.
        typed: 1 and 1.0 differ, as they do in Python's reprs and do not in JSON.
        many: how many are enough.
    """
    return list(islice(_walk(old, new, terms, typed=typed), many))


def _walk(old: Any, new: Any, terms: Terms, *, typed: bool) -> Iterator[Unlike]:
    pending: list[_Pair] = [(None, old, new)]
    for _ in range(MANY_VALUES):
        if not pending:
            return
        path, ours, theirs = pending.pop()
        parts = _parts(path, ours, theirs)
        if parts is not None:
            pending += reversed(parts)
        elif not _same(ours, theirs, terms, typed=typed):
            yield Unlike(_place(path), ours, theirs)
    yield Unlike("", "data", f"more than {MANY_VALUES:,} values: not all compared")


def _parts(path: Path, old: Any, new: Any) -> list[_Pair] | None:
    """Return the values in two containers of one kind, side by side; None when they are not containers of one kind."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [((path, key), old.get(key, NOTHING), new.get(key, NOTHING)) for key in keys]
    if type(old) is type(new) and isinstance(old, list | tuple):
        length = max(len(old), len(new))
        return [((path, index), _item(old, index), _item(new, index)) for index in range(length)]
    return None


def _item(items: list[Any] | tuple[Any, ...], index: int) -> Any:
    return items[index] if index < len(items) else NOTHING


def _same(old: Any, new: Any, terms: Terms, *, typed: bool) -> bool:
    if isinstance(old, str) and isinstance(new, str):
        return old == new or _same_text(old, new, terms)
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    if numbers and not (isinstance(old, bool) or isinstance(new, bool)):
        if isinstance(old, int) and isinstance(new, int):
            return old == new
        return not (typed and type(old) is not type(new)) and _close(old, new, terms)
    return type(old) is type(new) and not isinstance(old, dict | list | tuple) and bool(old == new)


def _close(old: float, new: float, terms: Terms) -> bool:
    try:
        return terms.rules.close(old, new)
    except OverflowError:  # a whole number that is too large for a float
        return False


def _same_text(old: str, new: str, terms: Terms) -> bool:
    if max(len(old), len(new)) > _LONG_STRING:
        return False
    return mismatch(without_noise(old, "data"), without_noise(new, "data"), terms, "data") is None


def _place(path: Path) -> str:
    keys: list[str] = []
    while path is not None and len(keys) < 8:
        path, key = path
        keys.append(f"[{short(repr(key), 40)}]")
    return ("..." if path is not None else "") + "".join(reversed(keys))
