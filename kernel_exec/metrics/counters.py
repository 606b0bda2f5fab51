"""Counts, for one executor and for all of a process."""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import Counter

from kernel_exec.metrics.history import History
from kernel_exec.metrics.snapshot import BOUNDS, Metrics
from kernel_exec.results import ExecutionMetrics, Sample, Status

MANY_REASONS = 100
_OTHER = "for other reasons"


class Counters:
    """Counts what happens; each executor has its own, and tells those of the process.

    Args:
        name: of the executor.
        above: counts the same for more than one executor; None for nobody.
    """

    def __init__(self, name: str = "", above: Counters | None = None) -> None:
        self._name, self._above = name, above
        self._lock = threading.Lock()  # the process's are told from the loops of many threads
        self._history = None if above is None else History()
        self._executors = self._waiting = self._running = self._kernels = self._memory = 0
        self._cells: Counter[Status] = Counter()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._attempts = self._output = self._peak = self._lost = 0
        self._duration = self._queue_time = self._cpu = 0.0
        self._refused: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()

    def opened(self, change: int) -> None:
        """Count an executor that is used now, or (-1) is closed."""
        with self._lock:
            self._executors += change
        if self._above is not None:
            self._above.opened(change)

    def moved(self, *, waiting: int = 0, running: int = 0) -> None:
        """Count calls that wait more, or less, and that run."""
        with self._lock:
            self._waiting += waiting
            self._running += running
        if self._above is not None:
            self._above.moved(waiting=waiting, running=running)

    def ran(self, execution: ExecutionMetrics) -> None:
        """Count a call that has ended."""
        with self._lock:
            self._cells[execution.status] += 1
            if execution.attempts:
                self._buckets[bisect_left(BOUNDS, execution.duration)] += 1
            self._attempts += execution.attempts
            self._output += execution.output_length
            self._duration += execution.duration
            self._queue_time += execution.queue_time
            self._cpu += execution.cpu_seconds or 0.0
            self._peak = max(self._peak, execution.peak_memory or 0)
            if self._history is not None:
                self._history.add(execution)
        if self._above is not None:
            self._above.ran(execution)

    def kernel_started(self) -> None:
        """Count a kernel."""
        with self._lock:
            self._kernels += 1
        if self._above is not None:
            self._above.kernel_started()

    def sampled(self, sample: Sample | None) -> None:
        """Take note of what the kernel holds now; None when it holds nothing any more."""
        held = 0 if sample is None else sample.memory
        self._hold(held - self._memory)

    def refuse(self, reason: str) -> None:
        """Count a message of a kernel that was refused."""
        with self._lock:
            known = reason in self._refused or len(self._refused) < MANY_REASONS
            self._refused[reason if known else _OTHER] += 1
            if self._above is not None:
                self._untold[reason if known else _OTHER] += 1
        if self._above is not None:
            self._above.refuse(reason)

    def lose(self) -> None:
        """Count an event that a callback was too slow for."""
        with self._lock:
            self._lost += 1
        if self._above is not None:
            self._above.lose()

    def news(self) -> str | None:
        """Return what was refused since this was last asked, as a sentence; None when nothing was."""
        untold, self._untold = self._untold, Counter()
        if not untold:
            return None
        count = untold.total()
        what = "a message of the kernel was" if count == 1 else f"{count:,} messages of the kernel were"
        reasons = [reason if count == 1 else f"{reason} ({number:,})" for reason, number in untold.most_common()]
        return f"{what} refused: {', '.join(reasons)}"

    def snapshot(self) -> Metrics:
        """Return the counts as they are now."""
        with self._lock:
            return Metrics(
                name=self._name,
                executors=self._executors,
                waiting=self._waiting,
                running=self._running,
                cells=dict(self._cells),
                buckets=tuple(self._buckets),
                attempts=self._attempts,
                duration=self._duration,
                queue_time=self._queue_time,
                cpu_seconds=self._cpu,
                memory=self._memory,
                peak_memory=self._peak,
                output_length=self._output,
                kernels=self._kernels,
                refused=dict(self._refused),
                lost_events=self._lost,
                executions=() if self._history is None else self._history.all(),
            )

    def _hold(self, change: int) -> None:
        with self._lock:
            self._memory += change
        if self._above is not None:
            self._above._hold(change)


PROCESS = Counters()
"""Of all executors that this process has made."""


def process_metrics() -> Metrics:
    """Return what all executors of this process have counted together, also those that are closed.

    It says nothing of single executions: each executor has its own.
    """
    return PROCESS.snapshot()


# A forked process has made none.
os.register_at_fork(after_in_child=lambda: Counters.__init__(PROCESS))
