"""The kernel and all that it started, and what they hold, as the system shows it in /proc."""

from __future__ import annotations

import os
from collections.abc import Callable

from .processes import parent_of

LOOKS = 3  # at the most, until nobody comes or goes meanwhile


class Family:
    """All processes below this one: nobody who loses his parent leaves it, as it adopts them."""

    def __init__(self) -> None:
        self._below: dict[int, bool] = {}  # of every process in the system, whether it is one of these

    def pids(self) -> list[int]:
        """Return their process ids."""
        # Whether one is of the family never changes: who loses his parent becomes a child of this process.
        before, self._below = self._below, {}
        me = os.getpid()
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            self._below[pid] = before[pid] if pid in before else _descends(pid, me)
        return [pid for pid, below in self._below.items() if below]

    def held(self, pids: list[int], share: Callable[[int], int]) -> int:
        """Return the bytes that they hold together.

        Shares add up to it only while nobody comes or goes: whoever ends leaves what he had in common with others to
        those that are looked at after him. So it is looked again, and the last look counts: not the least, or whoever
        forks all the time could hide what he holds.

        Args:
            pids: who is there.
            share: what one of them holds of it.
        """
        if len(pids) == 1:
            return share(pids[0])
        held, there = 0, list(filter(resident, pids))
        for _ in range(LOOKS):
            held = sum(map(share, there))
            before, there = there, list(filter(resident, self.pids()))
            if there == before:
                break
        return held


def resident(pid: int) -> int:
    """Return the bytes that a process has in memory, whoever else has them as well."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def shares(pid: int) -> dict[bytes, int]:
    """Return its shares, in bytes, in the memory that it has with others; {} when it shows them to nobody."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            lines = [line.split() for line in file.read().splitlines()[1:]]
    except OSError:  # it has ended, or has taken other rights
        return {}
    return {line[0]: int(line[1]) * 1024 for line in lines}


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        pid = parent_of(pid)
        if pid == ancestor:
            return True
    return False
