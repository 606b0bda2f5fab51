"""What a recording tells of a cell beside its text and its outputs. Pure; nothing of it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kernel_exec.recording.source import SourceCell

STATUSES = ("ok", "error", "timeout", "interrupted", "died", "aborted", "denied", "skipped", "running", "unfinished")
"""In the order in which they are counted; `unfinished` is a cell that ran when its session ended."""
_EVENTS = ("restart", "resume", "upload", "put", "branch", "rollback", "checkpoint")
_STARTED = ("iopub.status.busy", "iopub.execute_input", "shell.execute_reply.started")
_ENDED = ("iopub.status.idle", "shell.execute_reply")
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a cell created, changed or deleted."""

    path: str
    change: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a cell.

    Attributes:
        status: one of `STATUSES`; "" for a text, and for code that did not run.
        event: what it stands for, where it is no cell of the user's; "" for one that is.
        reason: why it was skipped.
        duration: seconds that it ran.
        peak_memory: bytes.
        lost: whether the kernel's state was lost in it.
        artifacts: the files that it made.
        started, ended: when.
    """

    status: str = ""
    event: str = ""
    reason: str = ""
    duration: float | None = None
    peak_memory: float | None = None
    lost: bool = False
    artifacts: tuple[Artifact, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None


def facts_of(cell: SourceCell, *, recorded: bool = False) -> Facts:
    """Return what is known of a cell.

    Args:
        cell: the cell.
        recorded: whether its session is being recorded now.
    """
    told = cell.facts
    event = told.get("event")
    stamps = cell.metadata.get("execution")
    started, ended = (_first(stamps, names) for names in (_STARTED, _ENDED))
    return Facts(
        status=_status(cell, recorded=recorded),
        event=event if event in _EVENTS else "",
        reason=str(told["reason"])[:500] if isinstance(told.get("reason"), str) else "",
        duration=_number(told.get("duration")) if "duration" in told else _between(started, ended),
        peak_memory=_number(told.get("peak_memory")),
        lost=told.get("state_preserved") is False,
        artifacts=_artifacts(told.get("artifacts")),
        started=started,
        ended=ended,
    )


def seconds_text(seconds: float) -> str:
    """Return a duration for people."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def bytes_text(size: float) -> str:
    """Return a size for people."""
    power = min(len(_UNITS) - 1, int(math.log10(max(1, size)) / 3 + 1e-9))
    value = size / 1000**power
    return f"{value:.1f} {_UNITS[power]}" if power and value < 99.95 else f"{value:,.0f} {_UNITS[power]}"


def moment(value: Any) -> datetime | None:
    """Return the time that a text tells, in UTC; None when it tells none, no zone, or one beyond what UTC counts."""
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (TypeError, ValueError, OverflowError):
        return None


def _status(cell: SourceCell, *, recorded: bool) -> str:
    told = cell.facts.get("status")
    if isinstance(told, str) and told in STATUSES:
        return "unfinished" if told == "running" and not recorded else told
    if cell.cell_type != "code":
        return ""
    if any(isinstance(output, Mapping) and output.get("output_type") == "error" for output in cell.outputs):
        return "error"
    return "ok" if cell.execution_count is not None else ""


def _first(stamps: Any, names: tuple[str, ...]) -> datetime | None:
    found = (moment(stamps.get(name)) for name in names) if isinstance(stamps, Mapping) else iter(())
    return next((time for time in found if time), None)


def _between(started: datetime | None, ended: datetime | None) -> float | None:
    seconds = (ended - started).total_seconds() if started and ended else -1.0
    return seconds if seconds >= 0 else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 1e18 else None


def _artifacts(told: Any) -> tuple[Artifact, ...]:
    found = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    return tuple(_artifact(one) for one in found)


def _artifact(told: Mapping[str, Any]) -> Artifact:
    size = _number(told.get("size"))
    return Artifact(str(told.get("path"))[:1000], str(told.get("change"))[:20], None if size is None else int(size))
