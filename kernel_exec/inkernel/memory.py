"""Looks at the memory of the kernel and of all that it started. Without a cgroup no event tells of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from .family import Family, resident, shares
from .processes import stat_of

STACK = 8 << 20  # what the system reserves for a thread, and what is hardly ever used of it
THREADS = 8  # of the kernel itself
GROWTH = 4 << 30  # bytes a second that nobody exceeds by much
SOON, LATE = 0.05, 0.5  # seconds between two looks at the memory
GRACE = 2.0  # seconds that too much memory may be held for


class MemoryWatch:
    """Looks when it is time to, and tells what it sees.

    Args:
        kernel: process id of the kernel.
        limit: bytes that all of them together may hold.
        soft: bytes beyond which the system refuses the kernel itself more, which its code can live with; None for no
            such bound.
        tell: sends an event to the host.
    """

    def __init__(self, kernel: int, limit: int, *, soft: int | None, tell: Callable[[dict[str, Any]], None]) -> None:
        self._kernel = kernel
        self._tell = tell
        self._limit = limit
        self._soft = soft
        self._bounded = 0  # what is in force of it
        self._family = Family()
        self._peak = 0
        self._above_since: float | None = None
        self._late = 0.0
        self.due = time.monotonic()

    def look(self) -> bool:
        """Look when it is time to, and tell the host; return whether too much was held for too long."""
        start = time.monotonic()
        if start < self.due:
            return False
        self._late += start - self.due  # while this process is late it tells nobody, nor passes a signal on
        self._bound()
        used = self._used()
        self._judge(used, start)
        end = time.monotonic()
        pause = min(max((self._limit - used) / GROWTH, SOON), LATE)
        self.due = end + max(pause, 10 * (end - start))  # never more than a tenth of a processor
        # At the most as much again: whoever keeps this process late must not gain by it.
        return self._above_since is not None and start - self._above_since > GRACE + min(self._late, GRACE)

    def ended(self, most: int) -> None:
        """The kernel has ended by itself; `most` is what it held in its life, also since the last look."""
        self._tell({"memory": max(most, self._peak), "above": False})

    def forget_peak(self) -> None:
        """Tell what is held from now on, not what was."""
        self._peak = 0
        self.due = time.monotonic()

    def _judge(self, used: int, now: float) -> None:
        above = used > self._limit
        if used > self._peak or above != (self._above_since is not None):
            self._peak = max(self._peak, used)
            self._tell({"memory": used, "above": above})
        if self._above_since is None or not above:
            self._late = 0.0
        self._above_since = (self._above_since or now) if above else None

    def _bound(self) -> None:
        """Bound what the kernel gets. The system counts what is reserved for stacks as well: more with each thread."""
        if self._soft is None:
            return
        bound = soft_bound(self._soft, _threads(self._kernel))
        if bound != self._bounded:
            import resource

            self._bounded = bound
            with contextlib.suppress(OSError):  # it has ended, or has taken other rights
                resource.prlimit(self._kernel, resource.RLIMIT_DATA, (bound, resource.RLIM_INFINITY))

    def _used(self) -> int:
        """Return the bytes that they hold; what they share counts once, as far as that matters."""
        pids = self._family.pids()
        used = sum(map(resident, pids))
        # Too much at first sight: forked children share most of it, and files that are mapped can be taken away.
        if used > self._limit or (len(pids) > 1 and used > self._peak):
            used = self._family.held(pids, _held)
        return used


def soft_bound(limit: int, threads: int) -> int:
    """Return what a kernel may reserve so that it cannot hold more than `limit` bytes."""
    return limit + max(threads - 1, THREADS) * STACK


def _threads(pid: int) -> int:
    return int((stat_of(pid) or [b"0"] * 18)[17])


def _held(pid: int) -> int:
    """Return the share of a process in the memory that nobody can take away from it."""
    sizes = shares(pid)
    if b"Pss_Anon:" in sizes:
        return sizes[b"Pss_Anon:"] + sizes[b"Pss_Shmem:"]
    return sizes.get(b"Pss:", 0) if sizes else resident(pid)
