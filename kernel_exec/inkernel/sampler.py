"""What the kernel and all that it started use, since a cell began: whoever lives, and whoever has ended meanwhile."""

from __future__ import annotations

import os
from typing import Any

from .family import Family, resident, shares
from .processes import children, has_children, stat_of

_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _CPU = 0, slice(11, 15)
"""Fields of /proc/PID/stat after the name; CPU time is its own and that of the children it has waited for. proc(5)"""


class Sampler:
    """Reads what a family of processes uses.

    Args:
        kernel: process id of the one that is always there.
    """

    def __init__(self, kernel: int) -> None:
        self._family = Family()
        self._kernel = kernel
        self._some = False  # whether somebody else was there at the last look
        self._before: dict[int, float] = {}  # what each had used when the cell began
        self._orphans = 0.0
        self._cpu = 0.0

    def mark(self) -> None:
        """A cell begins."""
        # For every cell: most kernels have no children, and to see that takes little. Those of other threads are seen
        # when a sample has seen them.
        some = self._some or has_children(self._kernel) or len(children()) > 1
        there = self._family.pids() if some else [self._kernel]
        self._before = {pid: _cpu_of(stat_of(pid)) for pid in there}
        self._orphans = self._cpu = 0.0

    def orphan(self, seconds: float) -> None:
        """Count the CPU time of one that ended with nobody but this process to wait for it."""
        self._orphans += seconds

    def sample(self) -> dict[str, Any]:
        """Return what they use: CPU seconds since the cell began, bytes of memory now, and how many they are."""
        stats = {pid: stat for pid in self._family.pids() if (stat := stat_of(pid))}
        # What one had used before the cell is in the sum also when it has ended: with its parent, or as an orphan.
        cpu = sum(map(_cpu_of, stats.values())) + self._orphans - sum(self._before.values())
        self._cpu = max(self._cpu, cpu)  # who ignores that his children end loses what they used
        alive = [pid for pid, stat in stats.items() if stat[_STATE] not in (b"Z", b"X")]
        self._some = len(stats) > 1
        held = resident(alive[0]) if len(alive) == 1 else self._family.held(alive, _share)
        return {"cpu": self._cpu, "held": held, "processes": len(alive)}


def _cpu_of(stat: list[bytes]) -> float:
    return sum(map(int, stat[_CPU])) / _TICKS


def _share(pid: int) -> int:
    """Return what one holds; what they have in common, as forked children do, counts once in the sum."""
    return shares(pid).get(b"Pss:") or resident(pid)
