"""The way from synchronous code into an event loop of its own thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from kernel_exec.errors import ExecutorClosed, KernelExecError

T = TypeVar("T")

CLEANUP_TIMEOUT = 10.0
"""Seconds that an interrupted call waits for the loop to clean up behind it."""


def run_once(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop of its own, also where another one runs, and wait for its result.

    As `Portal.call`: Ctrl-C cancels it, and it cleans up before the exception goes on.
    """
    portal = Portal()
    try:
        return portal.call(function)
    finally:
        portal.stop()


class Portal:
    """An event loop in a thread, and calls into it from any other thread.

    The thread starts with the first call and ends with `stop`. It is a daemon, so that a forgotten portal does not
    keep the process from ending.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._stopped = False
        self._pid = os.getpid()
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the loop and wait for its result.

        When the wait is broken off, by Ctrl-C or by what else a signal handler raises, the coroutine is cancelled
        and has a bounded time to clean up before the exception goes on. A second one does not wait again.

        Raises:
            ExecutorClosed: the portal is stopped, or of another process.
            KernelExecError: this is the portal's own thread, which would wait for itself.
        """
        loop = self._started()
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        task: list[asyncio.Task[None]] = []
        # What waits for a Condition may answer a Ctrl-C with "release unlocked lock"; a SimpleQueue is C.
        settled: SimpleQueue[object] = SimpleQueue()
        future.add_done_callback(settled.put)

        def start() -> None:
            task.append(loop.create_task(_settle(function, future)))
            task[0].add_done_callback(end)

        def end(ended: asyncio.Task[None]) -> None:
            # So the loop's thread drops it, never this one: asyncio's weak references to a task run code when it
            # goes, and a Ctrl-C that met that code would be ignored.
            task.remove(ended)
            _give_up(future)

        try:
            loop.call_soon_threadsafe(start)
            settled.get()
        except BaseException:
            self._cancel(task, future, settled)
            raise
        return future.result()

    def leave_word(self, function: Callable[[], object]) -> None:
        """Have the loop call a function some time soon; never blocks, for finalisers."""
        loop = self._loop
        if loop is not None and self._pid == os.getpid():
            with contextlib.suppress(RuntimeError):  # the loop is closed, so there is nothing left to do
                loop.call_soon_threadsafe(function)

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have the loop run a coroutine; never blocks, for finalisers."""

        def start() -> None:
            task = asyncio.ensure_future(function())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self.leave_word(start)

    @property
    def stopped(self) -> bool:
        """True when it takes no more calls, here or in another process than its own."""
        return self._stopped or self._pid != os.getpid()

    def stop(self) -> None:
        """End the loop and its thread; idempotent. From the portal's own thread it only leaves word."""
        with self._lock:
            self._stopped = True
            thread, end = self._thread, self._end
        if thread is None or end is None or self._pid != os.getpid():
            return
        self.leave_word(end.set)
        if thread is not threading.current_thread():
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            raise ExecutorClosed("this executor was made before a fork: make one in this process")
        with self._lock:
            if self._stopped:
                raise ExecutorClosed("this executor is closed: make a new one")
            if self._thread is None:
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._main()), name="kernel-exec-portal", daemon=True
                )
                self._thread.start()
            if self._thread is threading.current_thread():
                raise KernelExecError(
                    "a synchronous executor cannot be called from its own event loop, where it would wait for itself: "
                    "use AsyncExecutor there"
                )
            self._ready.wait()  # at each call: a Ctrl-C may have come while the first one waited
            assert self._loop is not None
            return self._loop

    async def _main(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._end.wait()

    def _cancel(
        self, task: list[asyncio.Task[None]], future: concurrent.futures.Future[T], settled: SimpleQueue[object]
    ) -> None:
        def cancel() -> None:
            for started in task:
                started.cancel()
            if not task:
                _give_up(future)

        self.leave_word(cancel)
        try:
            with contextlib.suppress(Empty):
                settled.get(timeout=CLEANUP_TIMEOUT)
        except BaseException:
            self.leave_word(cancel)
            raise


def _give_up(future: concurrent.futures.Future[T]) -> None:
    """Tell that a call was cancelled before it had begun."""
    if not future.done():
        future.set_exception(ExecutorClosed("the call was cancelled before it began"))


async def _settle(function: Callable[[], Coroutine[Any, Any, T]], future: concurrent.futures.Future[T]) -> None:
    """Run the coroutine and hand its end over; a cancelled one hands over that it was cancelled."""
    try:
        value = await function()
    except asyncio.CancelledError:
        future.set_exception(ExecutorClosed("the call was cancelled, because the executor was closed"))
        raise
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(value)
