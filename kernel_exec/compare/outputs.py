"""All outputs of a cell: which is which, and whether they came in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kernel_exec.compare.bundles import shown_differences
from kernel_exec.compare.difference import Difference, short
from kernel_exec.compare.shown import Shown
from kernel_exec.compare.terms import Terms

_REORDERED = 20
"""Outputs among which another order is looked for."""


def output_differences(old: Sequence[Shown], new: Sequence[Shown], terms: Terms) -> list[Difference]:
    """Return how the outputs of a cell differ: those gone, those new, another order, and what differs in the others.

    Args:
        old: what it showed then.
        new: what it shows now.
        terms: how close they must be.
    """
    pairs = _Pairs(old, new, terms)
    start = next((index for index, _ in enumerate(zip(old, new, strict=False)) if pairs[index, index]), None)
    start = min(len(old), len(new)) if start is None else start
    rest = min(len(old), len(new)) - start
    end = next((count for count in range(rest) if pairs[len(old) - 1 - count, len(new) - 1 - count]), rest)
    ours, theirs = range(start, len(old) - end), range(start, len(new) - end)
    if _reordered(ours, theirs, pairs):
        before, after = _listed(old, ours), _listed(new, theirs)
        where = f"outputs[{old[start].index}]"
        return [Difference("order", "the same outputs in another order", before, after, where)]
    return list(_aligned(ours, theirs, pairs))


@dataclass(slots=True)
class _Pairs:
    """The differences of an old output and a new one, by their indices; each pair is compared once."""

    old: Sequence[Shown]
    new: Sequence[Shown]
    terms: Terms
    _known: dict[tuple[int, int], list[Difference]] = field(default_factory=dict)

    def same_kind(self, ours: int, theirs: int) -> bool:
        return self.old[ours].name == self.new[theirs].name

    def __getitem__(self, pair: tuple[int, int]) -> list[Difference]:
        if pair not in self._known:
            self._known[pair] = self._compared(*pair)
        return self._known[pair]

    def _compared(self, ours: int, theirs: int) -> list[Difference]:
        if not self.same_kind(ours, theirs):
            return [self.gone(ours), self.come(theirs)]
        return shown_differences(self.old[ours], self.new[theirs], self.terms)

    def gone(self, ours: int) -> Difference:
        shown = self.old[ours]
        return Difference("missing output", f"{shown} is gone", str(shown), where=f"outputs[{shown.index}]")

    def come(self, theirs: int) -> Difference:
        shown = self.new[theirs]
        return Difference("extra output", f"{shown} is new", new=str(shown), where=f"new outputs[{shown.index}]")


def _listed(shown: Sequence[Shown], places: range) -> str:
    return short(", ".join(str(shown[index]) for index in places))


def _reordered(ours: range, theirs: range, pairs: _Pairs) -> bool:
    """Whether each old output is among the new ones, in another place."""
    if len(ours) != len(theirs) or not 2 <= len(ours) <= _REORDERED:
        return False
    left = list(theirs)
    for index in ours:
        same = next((place for place in left if not pairs[index, place]), None)
        if same is None:
            return False
        left.remove(same)
    return True


def _aligned(ours: range, theirs: range, pairs: _Pairs) -> Iterator[Difference]:
    """Pair each old output with the next new one of its kind."""
    at = theirs.start
    for index in ours:
        place = next((place for place in range(at, theirs.stop) if pairs.same_kind(index, place)), None)
        if place is None:
            yield pairs.gone(index)
            continue
        yield from map(pairs.come, range(at, place))
        yield from pairs[index, place]
        at = place + 1
    yield from map(pairs.come, range(at, theirs.stop))
