"""Processes, as the system shows them in /proc."""

from __future__ import annotations

import os


def children() -> list[int]:
    """Return the process ids of the children of this process."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel built without CONFIG_PROC_CHILDREN
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent_of(pid) == me]


def has_children(pid: int) -> bool:
    """Return whether the main thread of a process has children; True where the system does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return bool(file.read(1))
    except (FileNotFoundError, ProcessLookupError):
        return os.path.exists(f"/proc/{pid}")


def parent_of(pid: int) -> int:
    """Return the process id of its parent; 0 when it has ended."""
    return int((stat_of(pid) or [b"", b"0"])[1])


def stat_of(pid: int) -> list[bytes]:
    """Return what the system says of a process, from its state on; [] when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
