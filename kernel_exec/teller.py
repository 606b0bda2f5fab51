"""Tells events to a function of the caller's, which may be slow, or fail, and disturbs nobody by that."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue

from kernel_exec.metrics import MetricsEvent, OnMetrics

MANY_EVENTS = 10_000
"""Events that wait for a slow function, beyond which the oldest are left out, and counted."""
LAST_WORDS = 2.0
"""Seconds that `close` waits for the function to take what is left."""
_log = logging.getLogger("kernel_exec")


class Teller:
    """Calls a function with one event after the other, in a thread of its own; what is awaitable runs in the loop.

    Args:
        function: what to call; what it raises is logged, once.
        lose: called for each event that is left out.
    """

    def __init__(self, function: OnMetrics, lose: Callable[[], None]) -> None:
        self._function, self._lose = function, lose
        self._queue: SimpleQueue[MetricsEvent | None] = SimpleQueue()
        self._ended: asyncio.Future[None] | None = None
        self._running: concurrent.futures.Future[object] | None = None
        self._complained = False

    def tell(self, event: MetricsEvent) -> None:
        """Have the function called; never waits. From the loop, always the same."""
        if self._ended is None:
            loop = asyncio.get_running_loop()
            self._ended = loop.create_future()
            threading.Thread(target=self._go_on, args=(loop,), name="kernel-exec-metrics", daemon=True).start()
        if self._queue.qsize() >= MANY_EVENTS:
            with contextlib.suppress(Empty):
                self._queue.get_nowait()
                self._lose()
        self._queue.put(event)

    async def close(self) -> None:
        """Let the function take what is left, for a while; then nobody waits for it any more."""
        if self._ended is None:
            return
        self._queue.put(None)
        await asyncio.wait((self._ended,), timeout=LAST_WORDS)
        if self._running is not None:
            self._running.cancel()

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        while event := self._queue.get():
            try:
                answer = self._function(event)
                if inspect.isawaitable(answer):
                    self._running = asyncio.run_coroutine_threadsafe(_awaited(answer), loop)
                    self._running.result()
            except BaseException as error:
                self._complain(event, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(self._end)

    def _complain(self, event: MetricsEvent, error: BaseException) -> None:
        if not self._complained:
            self._complained = True
            _log.warning("on_metrics raised at %r, and goes on being called: %r", event.kind, error)

    def _end(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer
