"""Two texts, line by line. Identical lines cost nothing; only those that differ are looked at closely."""

from __future__ import annotations

from dataclasses import dataclass

from kernel_exec.compare.difference import Difference, changed, short
from kernel_exec.compare.literals import both_read
from kernel_exec.compare.noise import lines_of, without_noise
from kernel_exec.compare.structure import Unlike, unlike
from kernel_exec.compare.terms import Manner, Terms
from kernel_exec.compare.words import Mismatch, mismatch

_SANITIZED = 2_000_000
"""The longest text to which patterns of users are applied as a whole; in longer ones, to the lines that differ."""


def text_differences(old: str, new: str, terms: Terms, manner: Manner) -> list[Difference]:
    """Return how two texts differ: nothing, or one difference that names the first lines and counts the others.

    Args:
        old: the text then.
        new: the text now.
        terms: how close numbers must be, and when the cells ran.
        manner: how the texts are read.
    """
    if old == new:
        return []
    reader = _Reader(terms, manner, by_line=max(len(old), len(new)) > _SANITIZED)
    if not reader.by_line:
        old, new = terms.rules.sanitized(old), terms.rules.sanitized(new)
    values = reader.unlike(old, new)
    if values is not None and not values:
        return []
    ours, theirs = lines_of(old, manner), lines_of(new, manner)
    found = reader.side_by_side(ours, theirs) if len(ours) == len(theirs) else reader.aligned(ours, theirs)
    return [_told(values, old, new)] if found and values else found


def _told(values: list[Unlike], old: str, new: str) -> Difference:
    """Tell of values in a literal, which says more than where the text differs."""
    first = values[0]
    numbers = all(isinstance(value, int | float) for value in (first.old, first.new))
    message = f"{first.place}: {changed(first.old, first.new)}".removeprefix(": ") + _more(len(values) - 1, "value")
    return Difference("number" if numbers else "text", message, short(old), short(new))


@dataclass(frozen=True, slots=True)
class _Reader:
    terms: Terms
    manner: Manner
    by_line: bool

    def unlike(self, old: str, new: str) -> list[Unlike] | None:
        """Return the values that differ in two literals of Python; None when they are none."""
        literals = both_read(old, new)
        return None if literals is None else unlike(*literals, self.terms, typed=True, manner=self.manner)

    def side_by_side(self, old: list[str], new: list[str]) -> list[Difference]:
        """Compare texts of the same number of lines."""
        first: tuple[int, Mismatch] | None = None
        others = 0
        for index, (ours, theirs) in enumerate(zip(old, new, strict=True)):
            if ours != theirs and (found := self._mismatch(ours, theirs)) is not None:
                first, others = (first, others + 1) if first else ((index, found), 0)
        if first is None:
            return []
        index, found = first
        place = f"line {index + 1}: " if len(old) > 1 else ""
        message = f"{place}{found}{_more(others, 'line')}"
        return [Difference("number" if found.number else "text", message, short(old[index]), short(new[index]))]

    def aligned(self, old: list[str], new: list[str]) -> list[Difference]:
        """Compare texts of different numbers of lines: what is between the lines that are the same."""
        shorter = min(len(old), len(new))
        start = next((index for index in range(shorter) if self._differ(old[index], new[index])), shorter)
        rest = shorter - start
        end = next((index for index in range(rest) if self._differ(old[-1 - index], new[-1 - index])), rest)
        gone, come = old[start : len(old) - end], new[start : len(new) - end]
        parts = [f"{_count(len(lines))} {word}" for lines, word in ((gone, "gone"), (come, "new")) if lines]
        example = f": {short((gone or come)[0].strip(), 60)!r}"
        message = f"line {start + 1}: {', '.join(parts)}{example}"
        return [Difference("text", message, short("\n".join(gone[:20])), short("\n".join(come[:20])))]

    def _differ(self, old: str, new: str) -> bool:
        return old != new and self._mismatch(old, new) is not None

    def _mismatch(self, old: str, new: str) -> Mismatch | None:
        if not self.terms.effort.spend(max(len(old), len(new))):
            return Mismatch(old, new)
        if self.by_line:
            old, new = self.terms.rules.sanitized(old), self.terms.rules.sanitized(new)
        found = mismatch(without_noise(old, self.manner), without_noise(new, self.manner), self.terms, self.manner)
        return None if found is not None and self.unlike(old, new) == [] else found


def _count(lines: int) -> str:
    return f"{lines:,} line{'s'[: lines != 1]}"


def _more(count: int, what: str) -> str:
    return f", and {count:,} more {what}{'s'[: count != 1]}" if count else ""
