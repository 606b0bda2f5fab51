"""One thread for what waits for the disk, so that the event loop does not."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs functions in a thread of its own, one after the other in the order of the calls.

    The thread starts with the first call and ends with `close`. It is no pool of the standard library: those refuse
    work while the interpreter exits, which is when forgotten executors are closed.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Queue a call, at once; the future is for its result."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="kernel-exec-worker", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            try:
                end = partial(_succeed, future, function(*arguments))
            except BaseException as error:
                end = partial(_fail, future, error)
            with contextlib.suppress(RuntimeError):  # the loop was closed, and nobody waits any more
                loop.call_soon_threadsafe(end)

        self._queue.put(call)
        return future

    def close(self) -> None:
        """End the thread; what was queued must have been awaited."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while call := self._queue.get():
            call()


def _succeed(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
