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
IDLE = 1.0
"""Seconds without an event after which the thread ends: nobody's loop, and no forgotten executor, keeps it."""
_log = logging.getLogger("kernel_exec")


class Teller:
    """Calls a function with one event after the other, in a thread of its own; what is awaitable runs in the loop.

    Args:
        function: what to call; what it raises is logged, once.
        lose: called for each event that is left out.
    """

    def __init__(self, function: OnMetrics, lose: Callable[[], None]) -> None:
        self._function, self._lose = function, lose
        self._queue: SimpleQueue[MetricsEvent] = SimpleQueue()
        self._lock = threading.Lock()
        self._untold = 0  # events that wait, and the one that is being told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._works = False
        self._idle: asyncio.Event | None = None
        self._running: concurrent.futures.Future[object] | None = None
        self._closed = self._complained = False

    def tell(self, event: MetricsEvent) -> None:
        """Have the function called; never waits. From the loop, always the same."""
        if self._idle is None:
            self._loop, self._idle = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._queue.qsize() >= MANY_EVENTS:
                with contextlib.suppress(Empty):
                    self._queue.get_nowait()
                    self._untold -= 1
                    self._lose()
            self._untold += 1
            self._queue.put(event)
            self._idle.clear()
            if not self._works:
                self._works = True
                threading.Thread(target=self._go_on, name="kernel-exec-metrics", daemon=True).start()

    async def close(self) -> None:
        """Let the function take what is left, for a while; then it is called no more."""
        if self._idle is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._idle.wait()
        self._closed = True
        if self._running is not None:
            self._running.cancel()

    def _go_on(self) -> None:
        while (event := self._next()) is not None:
            self._call(event)
            with self._lock:
                self._untold -= 1
                rests = not self._untold
            if rests and self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                    self._loop.call_soon_threadsafe(self._rest)

    def _next(self) -> MetricsEvent | None:
        """Return the next event; None when none has come for a while, and another thread begins with the next."""
        while True:
            with contextlib.suppress(Empty):
                event = self._queue.get(timeout=IDLE)
                if not self._closed:
                    return event
                self._lose()
                continue
            with self._lock:
                if self._queue.empty():
                    self._works = False
                    return None

    def _call(self, event: MetricsEvent) -> None:
        try:
            answer = self._function(event)
            if inspect.iscoroutine(answer) and (self._loop is None or self._loop.is_closed()):
                answer.close()
            elif inspect.isawaitable(answer) and self._loop is not None:
                self._running = asyncio.run_coroutine_threadsafe(_awaited(answer), self._loop)
                self._running.result()
        except BaseException as error:
            if not self._complained and not self._closed:
                self._complained = True
                _log.warning("on_metrics raised at %r, and goes on being called: %r", event.kind, error)

    def _rest(self) -> None:
        """All was told, if nothing has come since. In the loop, as `tell` is."""
        if self._idle is not None and not self._untold:
            self._idle.set()


async def _awaited(answer: Awaitable[object]) -> object:
    return await answer
