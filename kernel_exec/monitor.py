"""Follows the calls of one session: counts them, and tells whoever wants to know, who never disturbs them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from typing import Any

from kernel_exec.callbacks import called
from kernel_exec.errors import WrongType
from kernel_exec.execution import Execution
from kernel_exec.metrics import PROCESS, Counters, EventKind, MetricsEvent, OnMetrics
from kernel_exec.results import ExecutionMetrics, Sample

MANY_EVENTS = 10_000
"""Events that wait for a slow callback, beyond which the oldest are left out, and counted."""
LAST_WORDS = 2.0
"""Seconds that an executor which is closed waits for a callback to take what is left."""
_log = logging.getLogger("kernel_exec")


class Monitor:
    """Counts what a session does, and tells it.

    The callback runs in threads of its own, or in the loop where it is asynchronous; no call waits for it.

    Args:
        name: of the executor.
        interval: seconds between two samples; None for no samples.
        on_metrics: called with each event, one after the other; None for nobody.

    Attributes:
        interval: seconds between two samples.
        counters: of the session.
    """

    def __init__(self, name: str, interval: float | None, on_metrics: OnMetrics | None) -> None:
        if on_metrics is not None and not callable(on_metrics):
            raise WrongType(f"on_metrics must be a function, not {type(on_metrics).__name__}")
        self.interval = interval
        self.counters = Counters(name, PROCESS)
        self._name, self._on_metrics = name, on_metrics
        self._calls = 0
        self._events: deque[MetricsEvent] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._complained = False
        self._opened = False

    def opened(self) -> None:
        """The executor is in use."""
        self._opened = True
        self.counters.opened(1)

    def queued(self, execution: Execution) -> None:
        """A call was made."""
        self._calls += 1
        execution.number, execution.queued = self._calls, time.time()
        self.counters.moved(waiting=1)
        if self._on_metrics is not None:
            execution.context = contextvars.copy_context()
            self._tell("queued", execution)

    def has_turn(self, execution: Execution) -> None:
        """Nothing is before it any more."""
        execution.had_turn = True
        self.counters.moved(waiting=-1, running=1)

    def started(self, execution: Execution) -> None:
        """An attempt of it begins."""
        execution.started = time.time()
        self._tell("started", execution, attempt=execution.attempt)

    def sampled(self, execution: Execution, sample: Sample) -> None:
        """It runs, and somebody has looked at what it uses."""
        self.counters.sampled(sample)
        self._tell("sample", execution, attempt=execution.attempt, sample=sample)

    def ended(self, execution: Execution, metrics: ExecutionMetrics | None) -> None:
        """It has its end; without a result there are no metrics."""
        self.counters.moved(**{"running" if execution.had_turn else "waiting": -1})
        if metrics is not None:
            self.counters.ran(metrics)
            self._tell("ended", execution, metrics=metrics)

    def kernel_started(self) -> None:
        """A kernel was started."""
        self.counters.kernel_started()
        self._tell("kernel_started")

    async def close(self) -> None:
        """The executor is not in use any more; the callback may take what is left, for a while."""
        self.counters.sampled(None)
        if self._opened:
            self.counters.opened(-1)
        if self._telling is not None:
            await asyncio.wait((self._telling,), timeout=LAST_WORDS)
            self._telling.cancel()

    def _tell(self, kind: EventKind, execution: Execution | None = None, **more: Any) -> None:
        if self._on_metrics is None:
            return
        if len(self._events) >= MANY_EVENTS:
            self._events.popleft()
            self.counters.lose()
        about: dict[str, Any] = {}
        if execution is not None:
            about = {"number": execution.number, "context": execution.context}
        self._events.append(MetricsEvent(kind, time.time(), self._name, **about, **more))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._deliver(self._on_metrics))

    async def _deliver(self, on_metrics: OnMetrics) -> None:
        """Call it with one event after the other; what it raises is its own affair, and logged once."""
        while self._events:
            event = self._events.popleft()
            try:
                await called(on_metrics, event)
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                    raise
                if not self._complained:
                    self._complained = True
                    _log.warning("on_metrics raised at %r, and goes on being called: %r", event.kind, error)
