"""Runs a call, and again as its caller wants that."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from kernel_exec.errors import ExecutorClosed
from kernel_exec.execution import Execution
from kernel_exec.results import ExecutionMetrics, ExecutionResult
from kernel_exec.retry import Retry


async def tried(
    execution: Execution,
    once: Callable[[Execution], Awaitable[ExecutionResult]],
    restart: Callable[[], Awaitable[object]],
) -> ExecutionResult:
    """Run a call, and again as its caller wants that.

    Args:
        execution: the call.
        once: runs it once.
        restart: takes a fresh kernel.
    """
    if execution.retry is None:
        return await once(execution)
    attempts = Attempts(execution.retry, execution.stop.timeout, asyncio.get_running_loop().time)
    execution.stop.timeout, execution.until = attempts.timeout, attempts.until
    while True:
        attempts.add(await once(execution))
        delay = None if execution.unwanted else attempts.delay()
        if delay is None:
            break
        execution.begin_again(attempts.timeout)
        with execution.paused():
            await asyncio.wait((execution.stop.wanted,), timeout=delay)
        if execution.stop.wanted.done():
            attempts.cancelled()
            break
        if attempts.restarts():
            try:
                await restart()
            except ExecutorClosed:
                attempts.cancelled()
                break
    return attempts.whole()


class Attempts:
    """The attempts of one call.

    Args:
        retry: how often, and when.
        timeout: seconds that each may take; None for no bound.
        clock: tells the time, in seconds.
    """

    def __init__(self, retry: Retry, timeout: float | None, clock: Callable[[], float]) -> None:
        self._retry, self._timeout, self._clock = retry, timeout, clock
        self._begins = clock()
        self._until = math.inf if retry.deadline is None else self._begins + retry.deadline
        self._results: list[ExecutionResult] = []
        self._why_not = ""
        self._restarted = False

    @property
    def until(self) -> float:
        """When all must have ended, by the clock."""
        return self._until

    @property
    def timeout(self) -> float | None:
        """Seconds that the next one may take; None for no bound."""
        bound = min(self._until - self._begins, math.inf if self._timeout is None else self._timeout)
        return None if bound == math.inf else bound

    def add(self, result: ExecutionResult) -> None:
        """Take the result of one; that it never began, as the call was cancelled before, is none."""
        if self._results and result.status == "aborted":
            self.cancelled()
        else:
            self._results.append(result)

    def delay(self) -> float | None:
        """Return how many seconds to wait until the next one; None where there is none to come.

        What a function of the caller's raises comes out.
        """
        number = len(self._results)
        if not self._retry.wants(self._results[-1]):
            return None
        if number >= self._retry.attempts:
            self._why_not = f"retry.attempts is {number}"
            return None
        delay = self._retry.delay(number)
        self._begins = self._clock() + delay
        if self._begins >= self._until:
            self._why_not = f"retry.deadline is {self._retry.deadline:g} s"
            return None
        return delay

    def restarts(self) -> bool:
        """Return whether the next one is to find a fresh kernel, and would not by itself; take note that it does."""
        if self._retry.state != "restart" or not self._results[-1].state_preserved:
            return False
        self._restarted = True
        return True

    def cancelled(self) -> None:
        """Take note that the call was cancelled before another one began."""
        self._why_not = "the call was cancelled while it waited"

    def whole(self) -> ExecutionResult:
        """Return the result of the call, which is that of its last attempt."""
        *earlier, last = self._results
        notes = list(last.notes)
        if earlier:
            notes.append(f"earlier attempts failed: {'; '.join(_causes(earlier))}")
        if self._why_not and not last.ok:
            notes.append(f"it is not tried again: {self._why_not}")
        return replace(
            last,
            attempts=sum(result.attempts for result in self._results),
            earlier=tuple(earlier),
            state_preserved=all(result.state_preserved for result in self._results) and not self._restarted,
            notes=tuple(notes),
            metrics=_together([result.metrics for result in self._results if result.metrics is not None]),
        )


def _together(attempts: list[ExecutionMetrics]) -> ExecutionMetrics | None:
    """Return what all attempts have taken."""
    if not attempts:
        return None
    cpu = [one.cpu_seconds for one in attempts if one.cpu_seconds is not None]
    return replace(
        attempts[-1],
        started=attempts[0].started,
        duration=sum(one.duration for one in attempts),
        cpu_seconds=sum(cpu) if cpu else None,
        peak_memory=max((one.peak_memory for one in attempts if one.peak_memory is not None), default=None),
        output_length=sum(one.output_length for one in attempts),
        attempts=sum(one.attempts for one in attempts),
        samples=tuple(sample for one in attempts for sample in one.samples),
        runs=tuple(attempts),
    )


def _causes(results: list[ExecutionResult]) -> Iterator[str]:
    """Yield why attempts failed, a line each; of many the last ones."""
    if more := len(results[:-5]):
        yield f"{more} more"
    for result in results[-5:]:
        yield str(result.error).partition("\n")[0][:200]
