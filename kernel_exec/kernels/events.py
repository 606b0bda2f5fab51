"""What a supervisor tells, read from its lines. Nothing about them is believed: kernels may run beside it. Pure.

A line is one JSON object, see `inkernel/supervisor.py`. What is no event, or has a field that cannot be, is None.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel_exec.kernels.death import Usage

LONGEST = 2**20
"""Bytes of a line: the two rests of 64 KiB take six times that as JSON, at the most."""
_MAX_PID = 2**22
_MAX_BYTES = 2**63
_MAX_TOOK = 3600
_MANY, _LONG = 10, 200
"""Mount points that are told, and characters of each."""
_LONG_TARGET = 400


@dataclass(frozen=True, slots=True)
class Directory:
    """The runtime directory is there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Started:
    """The kernel's program runs."""

    pid: int


@dataclass(frozen=True, slots=True)
class About:
    """What a container or its engine knows of the end of its kernel.

    Attributes:
        oom: processes that were killed for lack of memory.
        pids: forks that were refused for the number of processes.
        full: mount points without a free byte.
        container: what the engine says of its state, and as "Answered" the status of its answer (0 for none); None when
            the container itself told of the end.
        terminated: the signal by which somebody outside asked the container to end; 0 for none.
        held: the most memory that was in use in the container, files in memory included; 0 where that is not known.
    """

    oom: int = 0
    pids: int = 0
    full: tuple[str, ...] = ()
    container: Mapping[str, Any] | None = None
    terminated: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class Exited:
    """The kernel has ended; `rest` is what its descriptors 1 and 2 still held."""

    status: int
    rest: tuple[str, str]
    about: About = About()


@dataclass(frozen=True, slots=True)
class Created:
    """The engine has made the container."""

    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine has made none, for a reason of its own; `answered` is the status of its answer, 0 for none."""

    text: str
    answered: int


@dataclass(frozen=True, slots=True)
class Attached:
    """The keeper has the descriptors of the container's first process."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """A directory was mounted there; None when that cannot be."""

    path: Path | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A container's way out is to be made through this socket."""

    path: Path


@dataclass(frozen=True, slots=True)
class Opened:
    """The container has its way out."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The kernel wanted to reach what it may not."""

    target: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Files have gone to a container that is far, or come from it.

    Attributes:
        number: of what was asked for.
        notes: what was left out and why, a sentence each.
        trouble: why not all could be written; "" when it was.
    """

    number: int
    notes: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """The answer to the question of that number."""

    number: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class Sampled:
    """The answer to the question of that number: what the kernel and its processes use.

    Attributes:
        number: of the question.
        cpu_seconds: CPU time since the mark.
        memory: bytes that they hold now.
        processes: how many they are.
        took: CPU time that it took to look.
    """

    number: int
    cpu_seconds: float
    memory: int
    processes: int
    took: float


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


OfKernel = Directory | Started | Exited | Memory | Sampled | Outgrown | Signalled | Stopped | Failed
OfContainer = Created | Refused | Attached | Mounted | Gate | Opened | Denied | Moved | Used
Event = OfKernel | OfContainer


def parsed(line: bytes) -> Event | None:
    """Return the event in a line; None when there is none."""
    told = _decoded(line)
    return _of_kernel(told) or _of_container(told)


def _of_kernel(told: Any) -> OfKernel | None:  # noqa: PLR0911 - a line for each event
    match told:
        case {"directory": str(path)} if _is_place(path):
            return Directory(Path(path))
        case {"started": int(pid)} if 1 < pid <= _MAX_PID:  # 1 is no kernel, 0 no process
            return Started(pid)
        case {"exited": int(status), "rest": [str(out), str(err)], **about} if _is_end(status):
            return Exited(status, (out, err), _about(about))
        case {"memory": int(held), "above": bool(above)} if 0 <= held < _MAX_BYTES:
            return Memory(held, above)
        case {
            "sample": int(number),
            "cpu": int(cpu) | float(cpu),
            "held": int(held),
            "processes": int(processes),
            "took": int(took) | float(took),
        } if 0 <= cpu < _MAX_BYTES and 0 <= held < _MAX_BYTES and 0 <= processes <= _MAX_PID and 0 <= took < _MAX_TOOK:
            return Sampled(number, float(cpu), held, processes, float(took))
        case {"outgrown": True}:
            return Outgrown()
        case {"signalled": int()}:
            return Signalled()
        case {"stopped": True}:
            return Stopped()
        case {"error": str(text)}:
            return Failed(text)
    return None


def _of_container(told: Any) -> OfContainer | None:  # noqa: PLR0911 - a line for each event
    match told:
        case {"created": str(number)} if number.isalnum():
            return Created(number)
        case {"refused": str(text), "answered": int(status)}:
            return Refused(text, status)
        case {"attached": True}:
            return Attached()
        case {"moved": int(number), "notes": [*notes], "trouble": str(trouble)}:
            return Moved(number, tuple(note for note in notes if isinstance(note, str)), trouble)
        case {"mounted": None}:
            return Mounted(None)
        case {"mounted": str(path)} if _is_place(path):
            return Mounted(Path(path))
        case {"gate": str(path)} if _is_place(path):
            return Gate(Path(path))
        case {"opened": True}:
            return Opened()
        case {"denied": str(target)} if target.isprintable() and len(target) <= _LONG_TARGET:
            return Denied(target)
        case {"usage": int(number), "cpu": int(cpu) | float(cpu), "peak": int(peak)} if (
            0 <= cpu < _MAX_BYTES and 0 <= peak < _MAX_BYTES
        ):
            return Used(number, Usage(float(cpu), peak))
    return None


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _about(about: Mapping[Any, Any]) -> About:
    counts = {name: about[name] for name in ("oom", "pids", "terminated", "held") if isinstance(about.get(name), int)}
    full = about.get("full")
    places = tuple(place[:_LONG] for place in full[:_MANY] if isinstance(place, str)) if isinstance(full, list) else ()
    container = about.get("container")
    return About(**counts, full=places, container=container if isinstance(container, dict) else None)


def _is_place(path: str) -> bool:
    return os.path.isabs(path) and os.path.normpath(path) == path and "\0" not in path and bool(Path(path).name)


def _is_end(status: int) -> bool:
    """Whether it is the wait status of a process that has ended."""
    return 0 <= status <= 0xFFFF and (os.WIFEXITED(status) or os.WIFSIGNALED(status))
