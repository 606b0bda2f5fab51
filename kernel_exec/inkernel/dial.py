"""Connections to an engine, wherever it is: each is a socket, what lies behind it is a command in the worst case."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Sequence

_SAID = 4096


class Connection(socket.socket):
    """A connection; the command that it goes through, if there is one, ends with it."""

    _pid = 0
    _said = -1

    @property
    def why(self) -> str:
        """What the command had to say, if anything."""
        if self._said < 0:
            return ""
        said = os.pread(self._said, _SAID, 0).decode("utf-8", "replace").split("\n")
        return " ".join(line.strip() for line in said if line.strip())

    def through(self, pid: int, said: int) -> Connection:
        """Return this connection, which goes through a command."""
        self._pid, self._said = pid, said
        return self

    def close(self) -> None:
        """Hang up; idempotent."""
        super().close()
        if self._said >= 0:
            os.close(self._said)
            self._said = -1
        if self._pid:
            pid, self._pid = self._pid, 0
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def dial(address: Sequence[str], timeout: float) -> Connection:
    """Connect.

    Args:
        address: "unix" and a path, "tcp" with host and port, or "command" and one whose descriptors 0 and 1 are the
            connection.
        timeout: seconds.

    Raises:
        OSError: nobody answers.
    """
    kind, *where = address
    if kind == "command":
        return _through(where, timeout)
    if kind == "tcp":
        plain = socket.create_connection((where[0], int(where[1])), timeout)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20)
        connection = Connection(fileno=plain.detach())
    else:
        connection = Connection(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(where[0])
        except OSError:
            connection.close()
            raise
    connection.settimeout(timeout)
    return connection


def _through(command: Sequence[str], timeout: float) -> Connection:
    ours, theirs = socket.socketpair()
    said = os.memfd_create("said")
    with theirs:
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
            (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, said, 2),
        ]
        defaults = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE)
        try:
            pid = os.posix_spawnp(
                command[0],
                list(command),
                os.environ,
                file_actions=actions,
                setsigdef=defaults,
                setsigmask=(),
                setsid=True,
            )
        except OSError:
            ours.close()
            os.close(said)
            raise
    connection = Connection(fileno=ours.detach()).through(pid, said)
    connection.settimeout(timeout)
    return connection
