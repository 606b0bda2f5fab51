"""What a supervisor tells, read from its lines. Nothing about them is believed: kernels may run beside it. Pure.

A line is one JSON object, see `inkernel/supervisor.py`. What is no event, or has a field that cannot be, is None.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 2**20
"""Bytes of a line: the two rests of 64 KiB take six times that as JSON, at the most."""
_MAX_PID = 2**22
_MAX_BYTES = 2**63


@dataclass(frozen=True, slots=True)
class Directory:
    """The runtime directory is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Started:
    """The kernel's program runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class Exited:
    """The kernel has ended; `rest` is what its descriptors 1 and 2 still held."""

    status: int
    rest: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Memory:
    """So many bytes are held now, and whether that is too much."""

    held: int
    above: bool


@dataclass(frozen=True, slots=True)
class Outgrown:
    """The kernel dies of having held too much for too long."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal was sent."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing of the kernel is left."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What was asked for could not be done."""

    text: str


Event = Directory | Started | Exited | Memory | Outgrown | Signalled | Stopped | Failed


def parsed(line: bytes) -> Event | None:  # noqa: PLR0911 - a line for each event
    """Return the event in a line; None when there is none."""
    match _decoded(line):
        case {"directory": str(path)} if _is_place(path):
            return Directory(Path(path))
        case {"started": int(pid)} if 1 < pid <= _MAX_PID:  # 1 is no kernel, 0 no process
            return Started(pid)
        case {"exited": int(status), "rest": [str(out), str(err)]} if _is_end(status):
            return Exited(status, (out, err))
        case {"memory": int(held), "above": bool(above)} if 0 <= held < _MAX_BYTES:
            return Memory(held, above)
        case {"outgrown": True}:
            return Outgrown()
        case {"signalled": int()}:
            return Signalled()
        case {"stopped": True}:
            return Stopped()
        case {"error": str(text)}:
            return Failed(text)
    return None


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_place(path: str) -> bool:
    return os.path.isabs(path) and os.path.normpath(path) == path and "\0" not in path and bool(Path(path).name)


def _is_end(status: int) -> bool:
    """Whether it is the wait status of a process that has ended."""
    return 0 <= status <= 0xFFFF and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
