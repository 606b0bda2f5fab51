"""What a process of this machine uses, cell by cell."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from kernel_exec.kernels.death import Usage

_TICKS = os.sysconf("SC_CLK_TCK")
_CPU = slice(11, 15)
"""The fields of /proc/PID/stat after the name: own time, and that of the children that have ended."""
_STARTED = 19


class Meter:
    """Reads what one process uses; of another one that has its number later, nothing. proc(5)

    Args:
        pid: its process id, as it is here.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._cpu_before = 0.0
        self._process = self._stat()[_STARTED : _STARTED + 1]

    def begin(self) -> None:
        """Count from now on, the peak of memory too where the system can do that."""
        used = self._used()
        self._cpu_before = 0.0 if used is None else used.cpu_seconds
        # Without it the peak is that of its whole life, which is still true.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._pid}/clear_refs").write_text("5", encoding="ascii")

    def usage(self) -> Usage | None:
        """Return what was used since; None when the process has ended."""
        used = self._used()
        return used and Usage(max(0.0, used.cpu_seconds - self._cpu_before), used.peak_memory)

    def _used(self) -> Usage | None:
        stat = self._stat()
        try:
            status = Path(f"/proc/{self._pid}/status").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        _, found, peak = status.partition(b"VmHWM:")
        # Without it, it has ended, and nobody has seen that yet.
        if not found or not self._process or stat[_STARTED : _STARTED + 1] != self._process:
            return None
        return Usage(sum(map(int, stat[_CPU])) / _TICKS, int(peak.split(None, 1)[0]) * 1024)

    def _stat(self) -> list[bytes]:
        try:
            return Path(f"/proc/{self._pid}/stat").read_bytes().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return []


def meter_inside(first: int, pid: int, container: str) -> Meter | None:
    """Return the meter of a process in a container; None where its processes cannot be seen from here.

    Args:
        first: process id of the container's first process, as the engine says it.
        pid: that of its child to be found, as it is inside.
        container: id of the container, which its control group is named after.
    """
    try:
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        for child in children:
            inside = Path(f"/proc/{child}/status").read_text().partition("NSpid:")[2].partition("\n")[0].split()
            ours = container in Path(f"/proc/{child}/cgroup").read_text()
            if ours and inside[-1:] == [str(pid)]:
                return Meter(int(child))
    except OSError:
        return None
    return None
