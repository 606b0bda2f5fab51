"""What a process between host and kernel holds for the host: the runtime directory, and what is to be cleaned up.

Whether the host is gone is seen in two ways: its end of the channel is closed, or its pidfd says so (a forked child of
the host may hold the channel open for ever).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from typing import Any

from .below import make_fifos
from .loop import CHANNEL, Lines, Loop, tell, wake_on_signals

PATH_LIMIT = 92  # of 107 bytes for a socket; the rest is for names in the directory
LINE_LIMIT = 1 << 30  # of what the host sends, which is believed


class Lease(ABC):
    """The base of these processes: serves the host until it asks for the end or is gone, and leaves nothing behind.

    A command is one JSON object a line, `{"NAME": value}`: the method `do_NAME` is called with the value.

    Args:
        host: process id of the host.
        parents: directories to make the runtime directory in; the first that works is taken.
    """

    def __init__(self, host: int, parents: list[str]) -> None:
        _close_inherited()
        self.loop = Loop()
        self.stop_at: float | None = None
        self._lines = Lines(LINE_LIMIT)
        self._wake = wake_on_signals()
        self._cleanup: list[str] = []
        self._host_gone = False
        self._released = False
        self.loop.watch(CHANNEL, self._read_commands)
        self.loop.watch(_open_host(host), self._lose_host)
        self.loop.watch(self._wake, self._woken)
        self.directory = _make_directory(parents)
        make_fifos(self.directory)

    def run(self) -> None:
        """Serve until the host asks for the end or is gone; then leave nothing behind."""
        tell({"directory": self.directory})
        try:
            while not self._host_gone and not self._over():
                self.turn()
        finally:
            self.end()
            _remove(self.directory)
            tell({"stopped": True})
            # The host removes the rest now; if it ends meanwhile, that is done here.
            while not self._host_gone and not self._released:
                self.loop.turn(None)
            for path in () if self._released else self._cleanup:
                # The code that ran may have put a link in the place of a directory on the way.
                if os.path.realpath(os.path.dirname(path)) == os.path.dirname(path):
                    _remove(path)
            self.after()

    # For the processes that are made of this one

    @abstractmethod
    def turn(self) -> None:
        """Wait for what comes next, and see to it."""

    @abstractmethod
    def busy(self) -> bool:
        """Return whether there is something to end when the host asks for the end."""

    @abstractmethod
    def end(self) -> None:
        """End what there is, at once."""

    @abstractmethod
    def after(self) -> None:
        """See to what nobody waits for any more."""

    @abstractmethod
    def child_ended(self) -> None:
        """A child of this process has ended."""

    def dispatch(self, name: str, value: Any) -> None:
        """Carry out a command."""
        getattr(self, "do_" + name)(value)

    def do_cleanup(self, path: str) -> None:
        """Have a path removed in the end."""
        self._cleanup.append(path)

    def do_release(self, _: object) -> None:
        """Nothing is left to clean up."""
        self._released = True

    def do_stop(self, grace: float) -> None:
        """Ask for the end, and bring it about after `grace` seconds."""
        self.stop_at = time.monotonic() + grace

    def _over(self) -> bool:
        return self.stop_at is not None and (not self.busy() or time.monotonic() >= self.stop_at)

    def _lose_host(self) -> None:
        self._host_gone = True

    def _woken(self) -> None:
        """Signals arrived: a child ended, or somebody wants this process itself to end."""
        if set(os.read(self._wake, 4096)) - {signal.SIGCHLD}:
            self._host_gone = True
        self.child_ended()

    def _read_commands(self) -> None:
        try:
            chunk = os.read(CHANNEL, 1 << 16)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self._host_gone = True
            return
        for line in self._lines.feed(chunk):
            for name, value in json.loads(line).items():
                self.dispatch(name, value)


def _close_inherited() -> None:
    """Close what libraries of the host left inheritable: its peers would wait for us."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def _open_host(host: int) -> int:
    """A descriptor that becomes readable when the host ends."""
    try:
        descriptor = os.pidfd_open(host)
    except ProcessLookupError:
        sys.exit(1)
    # The number may have been another's when it was opened; its child knows its parent.
    if os.getppid() != host:
        sys.exit(1)
    return descriptor


def _make_directory(parents: list[str]) -> str:
    """Make a directory that only this user can enter, with a path short enough for sockets in it."""
    problems = []
    for parent in parents:
        path = os.path.join(parent, "kernel-exec-" + os.urandom(6).hex())
        if len(os.fsencode(path)) > PATH_LIMIT:
            problems.append(f"{parent}: too long a path for sockets")
            continue
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            problems.append(f"{parent}: {error.strerror}")
        else:
            return path
    tell({"error": "no runtime directory could be made (" + "; ".join(problems) + ")"})
    sys.exit(1)


def _remove(path: str) -> None:
    """Remove a file, a link, or a directory with all that is in it; what cannot be removed stays."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            with os.scandir(path) as entries:
                inside = [entry.path for entry in entries]
            for entry in inside:
                _remove(entry)
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        # Vanished, or not ours to remove: there is nobody left to tell.
        return
