"""What an executor counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from kernel_exec.results import Status

MANY_REASONS = 100
_OTHER = "for other reasons"


@dataclass(frozen=True, slots=True)
class Metrics:
    """What an executor has counted since it was made.

    Attributes:
        cells: calls that have ended, by their status.
        kernels: kernels that were started.
        refused: messages of kernels, or parts of them, that were refused, by reason.
    """

    cells: Mapping[Status, int]
    kernels: int
    refused: Mapping[str, int]


class Counters:
    """Counts for one executor."""

    def __init__(self) -> None:
        self.cells: Counter[Status] = Counter()
        self.kernels = 0
        self._refused: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()

    def refuse(self, reason: str) -> None:
        """Count a message of a kernel that was refused."""
        known = reason in self._refused or len(self._refused) < MANY_REASONS
        for counter in (self._refused, self._untold):
            counter[reason if known else _OTHER] += 1

    def news(self) -> str | None:
        """Return what was refused since this was last asked, as a sentence; None when nothing was."""
        untold, self._untold = self._untold, Counter()
        if not untold:
            return None
        count = untold.total()
        what = "a message of the kernel was" if count == 1 else f"{count:,} messages of the kernel were"
        reasons = [reason if count == 1 else f"{reason} ({number:,})" for reason, number in untold.most_common()]
        return f"{what} refused: {', '.join(reasons)}"

    def snapshot(self) -> Metrics:
        """Return the counts as they are now."""
        return Metrics(
            cells=MappingProxyType(dict(self.cells)),
            kernels=self.kernels,
            refused=MappingProxyType(dict(self._refused)),
        )
