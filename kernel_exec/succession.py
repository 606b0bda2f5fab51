"""The kernels of one executor, one after the other: one lives, or the next is being started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from kernel_exec.session import Session


class Succession:
    """Has the living kernel's session, and starts the next one.

    Args:
        start: starts a kernel; called again for each that follows.
        started: called when one was started.
    """

    def __init__(self, start: Callable[[], Awaitable[Session]], started: Callable[[], None]) -> None:
        self._start_one = start
        self._started = started
        self._starting: asyncio.Task[Session] | None = None
        self._stopping: set[asyncio.Task[None]] = set()
        self._ended = False
        self.session: Session | None = None
        """The session of the kernel that lives, or that has died and nobody has told yet; None while none does."""

    async def settled(self) -> Session | None:
        """Return the session, started when there is none; None when `stop` came in between.

        Raises:
            UnknownKernel, KernelStartError: the kernel could not be started; the next call tries again.
        """
        while self.session is None and not self._ended:
            starting = self._starting = self._starting or asyncio.ensure_future(self._start())
            await asyncio.wait((starting,))
            await self._stopped()
            if self._starting is starting and not self._ended:  # else somebody else who waits was first
                self._starting = None
                self.session = starting.result()
        return self.session

    def replace(self, old: Session) -> None:
        """Start a fresh kernel in the background, in the place of a session that is lost."""
        self.session = None
        self._starting = asyncio.ensure_future(self._follow(old))
        # Its error is told by `settled`, or by nobody when nobody asks.
        self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())

    def add_cleanup(self, path: Path) -> None:
        """Have `path` removed when this process ends without `stop`."""
        if self.session is not None:
            self.session.kernel.add_cleanup(path)

    def abandon(self) -> None:
        """Start no further kernel; a cell that runs goes on."""
        if self._starting is not None and not self._ended:
            self._starting.cancel()
        self._ended = True

    async def stop(self) -> None:
        """End the kernel that lives, or was being started, and leave nothing of it behind.

        What is to be cleaned up is looked after until `release`.
        """
        self.abandon()
        if self._starting is not None:
            await asyncio.wait((self._starting,))
            if not self._starting.cancelled() and not self._starting.exception():
                self.session = self._starting.result()
        if self.session is not None:
            await self.session.stop(release=False)
        await self._stopped()

    async def release(self) -> None:
        """Nothing is left to clean up."""
        if self.session is not None:
            await self.session.kernel.release()

    async def _start(self) -> Session:
        session = await self._start_one()
        self._started()
        return session

    async def _follow(self, old: Session) -> Session:
        try:
            return await self._start()
        finally:
            # Not before: the old supervisor would clean up if this process died in between. In a task of its own:
            # this one may be cancelled when the fresh kernel runs already.
            stopping = asyncio.ensure_future(old.stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)

    async def _stopped(self) -> None:
        """Wait until the kernels before have ended; whoever waits may be cancelled, their end goes on."""
        if self._stopping:
            await asyncio.wait(tuple(self._stopping))
