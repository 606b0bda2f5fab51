"""Has a kernel filled this process's memory with messages that nobody can read as fast?

zmq bounds how many messages wait, not how large they are. So while a channel is never found empty, the growth of the
whole process is looked at: no smaller measure tells of what zmq holds.
"""

from __future__ import annotations

import os

MAX_GROWTH = 2**30
"""Bytes by which this process may grow while messages wait."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Flood:
    """Watches the channels of one kernel."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}  # memory of this process when a channel began to be behind, by its name

    def rises(self, channel: str) -> bool:
        """Much was read from a channel, and there is more: return whether that has become too much."""
        held = _resident()
        return held - self._before.setdefault(channel, held) > MAX_GROWTH

    def ends(self, channel: str) -> None:
        """All of a channel was read."""
        self._before.pop(channel, None)


def _resident() -> int:
    """The resident memory of this process, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0
