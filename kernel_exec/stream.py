"""The outputs of a cell as they arrive. `execute` is what is left when they have all gone by."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from types import TracebackType
from typing import Self

from kernel_exec.execution import Execution, OnOutput
from kernel_exec.results import ExecutionResult, Output


class Stream:
    """Asynchronous iterator over the outputs of one cell; its last item is the ExecutionResult.

    Leaving it early, by `aclose`, by `async with`, or by forgetting it, interrupts the cell.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._loop = asyncio.get_running_loop()
        self._over = False

    @property
    def over(self) -> bool:
        """True when its last item was taken, or it was closed."""
        return self._over

    def outputs(self) -> list[Output]:
        """Return the outputs so far, as nbformat dictionaries."""
        return self._execution.outputs()

    async def fold(self, on_output: OnOutput | None) -> ExecutionResult:
        """Pass all outputs to `on_output` and return the result."""
        if on_output is None:
            return await self._execution.result()
        async for item in self:
            if isinstance(item, ExecutionResult):
                break
            returned = on_output(item)
            if inspect.isawaitable(returned):
                await returned
        return await self._execution.result()

    async def cancel(self, *, kill: bool = False) -> None:
        """Have the cell interrupted, and its kernel killed when it does not obey, or (`kill`) at once.

        What it still puts out, and its result, come out of the iterator as ever.
        """
        self._execution.stop.request("cancel", kill=kill)

    async def aclose(self) -> None:
        """Interrupt the cell if it has not ended, and wait for its end; idempotent.

        A second cancellation while it waits kills the kernel instead.
        """
        self._over = True
        if self._execution.done:
            return
        self._execution.stop.request("cancel")
        try:
            await self._execution.settled()
        except asyncio.CancelledError:
            self._execution.stop.request("cancel", kill=True)
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Output | ExecutionResult:
        if self._over:
            raise StopAsyncIteration
        item = await self._execution.feed.get()
        if item is not None:
            return item
        self._over = True
        return await self._execution.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # May run on any thread, so it only leaves word.
        if not self._execution.done:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the kernel with it
                self._loop.call_soon_threadsafe(self._execution.stop.request, "cancel")
