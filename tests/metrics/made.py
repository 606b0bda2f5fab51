"""Metrics that no executor has made."""

from __future__ import annotations

from typing import Any

from kernel_exec.metrics import Counters, Metrics
from kernel_exec.results import ExecutionMetrics, Sample

MIB = 2**20


def execution(number: int, **facts: Any) -> ExecutionMetrics:
    """What a call took that ran for two seconds and waited for half a second."""
    start = 1_000_000.0 + 10 * number
    known: dict[str, Any] = {
        "cell_id": f"cell-{number}",
        "filename": None,
        "status": "ok",
        "queued": start,
        "started": start + 0.5,
        "ended": start + 2.5,
        "duration": 2.0,
        "cpu_seconds": 1.5,
        "peak_memory": 100 * MIB,
        "output_length": 10,
        "error": "",
        "attempts": 1,
    }
    return ExecutionMetrics(number=number, **{**known, **facts})


def samples(start: float, *mebibytes: int) -> tuple[Sample, ...]:
    """One each half second."""
    return tuple(Sample(start + at / 2, at / 4, size * MIB, 1 + (size > 150)) for at, size in enumerate(mebibytes))


def session(name: str = "") -> Metrics:
    """Of a session that had all kinds of ends."""
    counters = Counters(name, Counters())
    counters.kernel_started()
    counters.ran(execution(1, samples=samples(1_000_010.5, 60, 120, 240, 200)))
    counters.ran(execution(2, status="error", error="ValueError: no", duration=0.02, peak_memory=90 * MIB))
    counters.ran(execution(3, status="timeout", duration=4.0, samples=samples(1_000_030.5, 200, 210, 220)))
    counters.ran(execution(4, status="died", duration=0.5, cpu_seconds=None, peak_memory=None))
    counters.ran(execution(5, status="denied", duration=0.0, cpu_seconds=None, peak_memory=None, attempts=0))
    counters.refuse('its "type" is\nunknown')
    return counters.snapshot()
