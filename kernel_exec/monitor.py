"""Follows the calls of one session: counts them, and tells whoever wants to know, who never disturbs them."""

from __future__ import annotations

import contextvars
import time
from typing import Any

from kernel_exec.errors import WrongType
from kernel_exec.execution import Execution
from kernel_exec.metrics import PROCESS, CallerContext, Counters, EventKind, MetricsEvent, OnMetrics
from kernel_exec.results import ExecutionMetrics, Sample
from kernel_exec.teller import Teller


class Monitor:
    """Counts what a session does, and tells it.

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
        self._name = name
        self._teller = None if on_metrics is None else Teller(on_metrics, self.counters.lose)
        self._calls = 0
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
        if self._teller is not None:
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
        """It has its end."""
        self.counters.moved(**{"running" if execution.had_turn else "waiting": -1})
        if metrics is not None:
            self.counters.ran(metrics)
            self._tell("ended", execution, metrics=metrics)

    def kernel_started(self) -> None:
        """A kernel was started."""
        self.counters.kernel_started()
        self.counters.sampled(None)
        self._tell("kernel_started")

    async def close(self) -> None:
        """The executor is not in use any more; the callback may take what is left, for a while."""
        self.counters.sampled(None)
        if self._opened:
            self.counters.opened(-1)
        if self._teller is not None:
            await self._teller.close()

    def _tell(self, kind: EventKind, execution: Execution | None = None, **more: Any) -> None:
        if self._teller is None:
            return
        about: dict[str, Any] = {}
        if execution is not None:
            about = {"number": execution.number, "context": CallerContext(execution.context)}
        self._teller.tell(MetricsEvent(kind, time.time(), self._name, **about, **more))
