"""How kernels end, and what they have used."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Death:
    """How a kernel ended.

    Attributes:
        exit_code: its exit status, when it exited.
        signal: the number of the signal, when it was killed by one.
        reason: a part of a sentence, such as "it was killed by signal 9 (SIGKILL)".
        oom: whether it had too little memory, as far as can be told.
        hindered: what kept it from obeying before it was killed, a part of a sentence; "" where that is its own affair.
    """

    exit_code: int | None
    signal: int | None
    reason: str
    oom: bool = False
    hindered: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a kernel has used for a cell.

    Attributes:
        cpu_seconds: its own CPU time and that of its children that have ended.
        peak_memory: the most memory it has held, in bytes; with a limit that of all its processes together, as far as
            it was seen.
    """

    cpu_seconds: float
    peak_memory: int


def death_of(status: int | None) -> Death:
    """Return how a kernel ended, by its wait status; None when nobody saw its end."""
    if status is None:
        return Death(None, signal.SIGKILL, "the process that supervises it was killed, and it with that")
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return Death(code, None, f"it exited with status {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a real-time signal"
    return Death(None, -code, f"it was killed by signal {-code} ({name})")


def exit_code(status: int | None) -> int:
    """Return the exit code of a wait status; that of a killed process when nobody saw its end."""
    return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)


def megabytes(size: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{size / 2**20:.0f} MiB"
