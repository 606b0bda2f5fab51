"""Sockets in a directory that others may write to, held as what they were when they appeared there.

A path is looked up again with every connection, and a link that a kernel has put in the place of its socket by then
would lead to somebody else's.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import stat
from collections.abc import Callable
from pathlib import Path

_CREATE, _MOVED_TO = 0x100, 0x80
_FIND = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
INTERVAL = 0.01
"""Seconds between two looks where the system has no events left for us."""


class Pins:
    """Waits for the sockets of one kernel. Belongs to the running event loop.

    Args:
        paths: where they will be, all in one directory.
        on_found: called with a path and an address that leads to what is there now, whatever has its name later.
        on_wrong: called with the reason when something else lies there.
    """

    def __init__(
        self, paths: list[Path], on_found: Callable[[Path, str], None], on_wrong: Callable[[str], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting = set(paths)
        self._on_found, self._on_wrong = on_found, on_wrong
        self._held: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._events = _watch(paths[0].parent)
        if self._events is not None:
            self._loop.add_reader(self._events, self._happened)
        self._loop.call_soon(self._look)

    def close(self) -> None:
        """Let go of all of them: the addresses lead nowhere, or elsewhere, from now on. Idempotent."""
        self._stop_waiting()
        for fd in self._held:
            os.close(fd)
        self._held.clear()

    def _happened(self) -> None:
        assert self._events is not None
        os.read(self._events, 1 << 16)
        self._look()

    def _look(self) -> None:
        for path in tuple(self._waiting):
            try:
                fd = os.open(path, _FIND)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._stop_waiting()
                self._on_wrong(f"its socket {path.name} cannot be reached: {error.strerror}")
                return
            self._held.append(fd)
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                self._stop_waiting()
                self._on_wrong(f"something else lies in the place of its socket {path.name}")
                return
            self._waiting.discard(path)
            self._on_found(path, f"ipc:///proc/self/fd/{fd}")
        if not self._waiting:
            self._stop_waiting()
        elif self._events is None:
            self._timer = self._loop.call_later(INTERVAL, self._look)

    def _stop_waiting(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._events is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._events)
            os.close(self._events)
            self._events = None


def _watch(folder: Path) -> int | None:
    """Return a descriptor that becomes readable when something new is in a directory; None without events."""
    libc = ctypes.CDLL(None)
    fd: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(folder), _CREATE | _MOVED_TO) < 0:
        os.close(fd)
        return None
    return fd
