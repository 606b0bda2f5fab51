"""What a kernel uses while its cell runs, looked at from time to time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kernel_exec.kernels.kernel import Kernel
from kernel_exec.metrics import Samples
from kernel_exec.results import Sample

LONG = 0.25
"""Seconds of a cell beside which one more look at its end does not count."""


class Sampling:
    """The samples of one cell: of one that ends before the first is due, there are none, and they cost nothing.

    Args:
        kernel: its kernel, which was marked before the cell began.
        interval: seconds between two samples.
        tell: called with each.
    """

    def __init__(self, kernel: Kernel, interval: float, tell: Callable[[Sample], None]) -> None:
        self._kernel, self._interval, self._tell = kernel, interval, tell
        self._loop = asyncio.get_running_loop()
        self._samples = Samples()
        self._task: asyncio.Task[None] | None = None
        self._began = self._loop.time()
        self._first = self._loop.call_later(interval, self._begin)

    async def end(self) -> tuple[Sample, ...]:
        """Stop, after a last look when the cell took a while; return all."""
        self._first.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._loop.time() - self._began >= min(self._interval, LONG):
            await self._take()
        return self._samples.all()

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._go_on())

    async def _go_on(self) -> None:
        due = self._loop.time()
        while True:
            took = await self._take()
            now = self._loop.time()
            # Never more than a tenth of a processor, however many processes there are to be looked at.
            due = max(due + self._interval, now + 10 * took)
            await asyncio.sleep(due - now)

    async def _take(self) -> float:
        """Take a sample; return the CPU time that it took to look."""
        found = await self._kernel.sample()
        if found is None:
            return 0.0
        sample = Sample(time.time(), found.cpu_seconds, found.memory, found.processes)
        self._samples.add(sample)
        self._tell(sample)
        return found.took
