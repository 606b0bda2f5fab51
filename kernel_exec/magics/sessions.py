"""The sessions of one notebook: an executor each, by name, all in one loop of their own."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kernel_exec.errors import KernelExecError
from kernel_exec.executor import AsyncExecutor
from kernel_exec.kernels.docker import DockerKernel
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.magics.errors import UsageError
from kernel_exec.portal import Portal
from kernel_exec.settings import Limits, PathLike

T = TypeVar("T")

MAIN = "main"
"""The name of the default session where none was made."""
_NAME = re.compile(r"[^\W\d][\w.-]{0,39}")


@dataclass
class Session:
    """An executor of this notebook.

    Attributes:
        name: its name.
        kind: where it runs, for people.
        executor: the executor.
        turn: held by the cell that runs, or moves variables; cells wait for it in the order in which they came.
        jobs: cells in the background that were not shown yet, oldest first.
    """

    name: str
    kind: str
    executor: AsyncExecutor
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    jobs: deque[Any] = field(default_factory=deque)

    @property
    def state(self) -> str:
        """What it does, in a word."""
        if not self.executor.is_alive:
            return "dead"
        return "busy" if self.turn.locked() else "idle"


class Sessions:
    """All sessions. They end with this process: by `close`, called at its exit, or else by their own leases."""

    def __init__(self) -> None:
        self.portal = Portal()
        self._by_name: dict[str, Session] = {}
        self._default: str | None = None
        self._starting = threading.RLock()  # held by the thread that makes one: another may want that one
        self._pid = os.getpid()
        atexit.register(self.close)

    def call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the sessions' loop and wait for it."""
        return self.portal.call(function)

    @property
    def all(self) -> list[Session]:
        """The sessions, in the order in which they were made."""
        return list(self._by_name.values())

    @property
    def default(self) -> str:
        """The name of the session that is meant where none is named."""
        if self._default in self._by_name:
            return str(self._default)
        return next(iter(self._by_name), MAIN)

    def use(self, name: str) -> None:
        """Make a session the default.

        Raises:
            UsageError: there is none of that name.
        """
        self._default = self.get(name).name

    def get(self, name: str | None) -> Session:
        """Return a session by its name; None for the default one.

        Raises:
            UsageError: there is none of that name.
        """
        wanted = name or self.default
        if (session := self._by_name.get(wanted)) is None:
            known = f"there are: {', '.join(self._by_name)}" if self._by_name else "there is none yet"
            raise UsageError(f"no session {wanted!r}; {known} (`%kx start NAME` makes one)")
        return session

    def find(self, name: str | None) -> Session | None:
        """Return a session by its name, None for the default one; None when there is none."""
        return self._by_name.get(name or self.default)

    def get_or_start(self, name: str | None) -> Session:
        """Return a session by its name, None for the default one; made on this machine where there is none."""
        if (session := self.find(name)) is not None:
            return session
        with self._starting:
            return self.find(name) or self.start(name or self.default)

    def start(
        self,
        name: str,
        kernel: KernelSettings | None = None,
        *,
        limits: Limits | None = None,
        timeout: float | None = None,
        workdir: PathLike | None = None,
        notebook: PathLike | None = None,
    ) -> Session:
        """Make a session and start its kernel; arguments as for `Executor`, but that cells have no bound by default.

        Raises:
            UsageError: the name is taken, or none.
            KernelExecError: it cannot be made.
        """
        if _NAME.fullmatch(name) is None:
            raise UsageError(f"{name!r} is no name for a session: letters, digits, '_', '-' and '.', a letter first")

        async def made() -> Session:
            executor = AsyncExecutor(
                kernel, workdir=workdir, notebook=notebook, timeout=timeout, limits=limits, name=name
            )
            try:
                await executor.start()
            except BaseException:
                await executor.close()
                raise
            session = self._by_name[name] = Session(name, described(kernel), executor)
            return session

        with self._starting:
            if name in self._by_name:
                raise UsageError(f"there is a session {name!r} already: `%kx stop {name}` first, or take another name")
            try:
                return self.call(made)
            except BaseException:
                if name in self._by_name:  # an interrupt came between its start and here
                    self.stop(name)
                raise

    def stop(self, name: str | None) -> Session:
        """End a session: its kernel, its cells, and what is temporary.

        Raises:
            UsageError: there is none of that name.
        """
        session = self.get(name)
        del self._by_name[session.name]
        self.call(lambda: _ended(session))
        return session

    def close(self) -> None:
        """End all of them, and their loop; idempotent."""
        atexit.unregister(self.close)
        if os.getpid() != self._pid or self.portal.stopped:
            return
        sessions, self._by_name = self.all, {}

        async def ended() -> None:
            await asyncio.gather(*map(_ended, sessions), return_exceptions=True)

        try:
            if sessions:
                self.call(ended)
        finally:
            self.portal.stop()


async def _ended(session: Session) -> None:
    for job in session.jobs:
        job.task.cancel()
    with contextlib.suppress(KernelExecError):
        await session.executor.close()


def described(kernel: KernelSettings | None) -> str:
    """Return where a kernel runs, for people."""
    if isinstance(kernel, DockerKernel):
        return f"{kernel.image} in a container"
    return f"{getattr(kernel, 'kernel_name', None) or 'python3'} on this machine"


def _is_recording(path: Path) -> bool:
    """Whether it is a notebook that an executor has written; one that only shows a session's outputs is none."""
    try:
        return "kernel_exec" in json.loads(path.read_bytes())["metadata"]
    except (ValueError, LookupError, TypeError):
        return False


def copied(recording: Path, target: Path) -> list[Path]:
    """Copy a recording, and the files of values that were put into the session, which a replay reads.

    Returns:
        the files, the recording first.

    Raises:
        UsageError: something else is there, which would be lost.
        OSError: it cannot be written.
    """
    text = recording.read_bytes()
    if target.exists() and not _is_recording(target):
        raise UsageError(f"{str(target)!r} is there and is no recording: take another name")
    written = [target]
    for file in sorted(recording.parent.glob(f"{recording.stem}_files/put-*")):
        place = target.parent / file.parent.name / file.name
        content = file.read_bytes()
        if place.exists() and place.read_bytes() != content:
            raise UsageError(f"{str(place)!r} is there and belongs to another recording: save to another directory")
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        written.append(place)
    target.write_bytes(text)
    return written
