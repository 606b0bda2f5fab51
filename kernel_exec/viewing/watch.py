"""Waits for a change of a file by asking its directory, so that waiting costs nothing."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path

from kernel_exec import linux

_EVENTS = 4096


class Watch:
    """Waits for what happens to a name in a directory.

    Args:
        path: the file; it need not be there, and neither need the directory.

    Where the system does not tell (no inotify, a network's file system), a wait just takes its time.
    """

    def __init__(self, path: Path) -> None:
        self._folder, self._name = path.parent, os.fsencode(path.name)
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._fd = -1
        self._watched: tuple[int, int] | None = None

    def begin(self) -> None:
        """Watch the directory that is there now; it may be another one of that name."""
        try:
            status = os.stat(self._folder)
            directory = (status.st_dev, status.st_ino)
        except OSError:
            directory = None
        if directory == self._watched:
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._watched = -1, directory
        if directory is not None:
            with contextlib.suppress(OSError):
                self._fd = linux.watch_folder(self._folder)

    def wait(self, seconds: float) -> None:
        """Wait until something may have happened to the file, but not longer than some seconds."""
        self.begin()
        fds = [fd for fd in (self._fd, self._stop_read) if fd >= 0]
        while select.select(fds, [], [], seconds)[0]:
            if self._fd not in fds or self._concerns():
                return
            if select.select([self._stop_read], [], [], 0)[0]:
                return

    def wake(self) -> None:
        """End the wait, and all that follow."""
        with contextlib.suppress(OSError):
            os.write(self._stop_write, b"x")

    def close(self) -> None:
        """Let go of the directory."""
        for fd in (self._fd, self._stop_read, self._stop_write):
            if fd >= 0:
                os.close(fd)
        self._fd = self._stop_read = self._stop_write = -1

    def _concerns(self) -> bool:
        """Take the events that are there; whether one of them is of the file, or may be."""
        try:
            events = os.read(self._fd, _EVENTS)
        except BlockingIOError:
            return False
        return any(name in {b"", self._name} for name in linux.names_of(events))
