"""Two tables: their columns and rows by name, then cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from kernel_exec.compare.difference import Difference, changed, short
from kernel_exec.compare.grids import Table
from kernel_exec.compare.noise import without_noise
from kernel_exec.compare.terms import Terms
from kernel_exec.compare.words import Mismatch, mismatch

MANY = 5
"""Differences of a table that are told one by one; the others are counted."""

_Pairs = list[tuple[int, int]]


def table_differences(old: Table, new: Table, terms: Terms) -> list[Difference]:
    """Return how two tables differ: columns and rows that are gone, new or moved, and cells in those that stayed.

    Args:
        old: the table then.
        new: the table now.
        terms: how close numbers must be, and when the cells ran.
    """
    columns, found = _paired(old.columns, new.columns, "column", terms)
    rows, more = _paired(old.rows, new.rows, "row", terms)
    found += more
    if _mismatch(old.corner, new.corner, terms):
        found.append(
            Difference("table", f"the rows' heading: {changed(old.corner, new.corner)}", old.corner, new.corner)
        )
    cells = _cells(old, new, rows, columns, terms)
    found += islice(cells, MANY)
    if more_cells := sum(1 for _ in cells):
        found.append(Difference("table", f"{more_cells:,} more cells differ"))
    return found


def _cells(old: Table, new: Table, rows: _Pairs, columns: _Pairs, terms: Terms) -> Iterator[Difference]:
    for row, new_row in rows:
        before, after = old.cells[row], new.cells[new_row]
        for column, new_column in columns:
            ours, theirs = before[column], after[new_column]
            if ours != theirs and (found := _mismatch(ours, theirs, terms)):
                place = f"row {short(old.rows[row], 40)!r}, column {short(old.columns[column], 40)!r}"
                yield Difference("table", f"{place}: {found}", short(ours), short(theirs))


def _paired(old: Sequence[str], new: Sequence[str], what: str, terms: Terms) -> tuple[_Pairs, list[Difference]]:
    """Return which columns (or rows) are the same ones, by index, and how the names differ otherwise."""
    if len(old) == len(new) and not any(_mismatch(*names, terms) for names in zip(old, new, strict=True)):
        return [(index, index) for index in range(len(old))], []
    ours, theirs = _numbered(old), _numbered(new)
    places = {name: index for index, name in enumerate(theirs)}
    pairs = [(index, places[name]) for index, name in enumerate(ours) if name in places]
    known = set(ours)
    gone = [name for name, _ in ours if (name, _) not in places]
    come = [name for name, _ in theirs if (name, _) not in known]
    found = [_told(names, what, word) for names, word in ((gone, "gone"), (come, "new")) if names]
    order = [place for _, place in pairs]
    if order != sorted(order):
        found.append(Difference("table", f"the {what}s are in another order", _listed(old), _listed(new)))
    return pairs, found


def _numbered(names: Sequence[str]) -> list[tuple[str, int]]:
    """Return each name with how many of the same were before it."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        numbered.append((name, seen[name]))
        seen[name] += 1
    return numbered


def _told(names: list[str], what: str, word: str) -> Difference:
    listed = _listed(names)
    subject = f"{what} {listed} is" if len(names) == 1 else f"{len(names):,} {what}s ({listed}) are"
    return Difference("table", f"{subject} {word}", *((listed, "") if word == "gone" else ("", listed)))


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > MANY else ""
    return ", ".join(repr(short(name, 40)) for name in names[:MANY]) + more


def _mismatch(old: str, new: str, terms: Terms) -> Mismatch | None:
    if old == new:
        return None
    if not terms.effort.spend(max(len(old), len(new))):
        return Mismatch(old, new)
    return mismatch(without_noise(old, "data"), without_noise(new, "data"), terms, "data")
