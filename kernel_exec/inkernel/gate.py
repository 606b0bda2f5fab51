"""The keeper's part of a container's way out: it takes the container's socket, and starts the proxy that serves it.

A socket belongs to the network that it was made in, whoever holds it: the container's first process listens in its own
network, hands that out before the kernel runs, and is free of it. So nothing of ours is in the container that its code
could meet, and what it was handed out by is gone by then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from typing import Any

from .loop import Lines, Loop, tell

PATIENCE = 20.0
"""Seconds in which the first process, and the proxy, take what they are given."""
LINE_LIMIT = 1 << 16


class Gate:
    """The way out of one container.

    Args:
        loop: of the keeper.
        directory: the runtime directory.
        allowed: the targets that may be reached, see `targets.py`.

    Attributes:
        path: where the container's first process hands out its socket. Never used before, as no kernel may have put
            anything there.

    Raises:
        OSError: there is no room for it.
    """

    def __init__(self, loop: Loop, directory: str, allowed: list[str]) -> None:
        self._loop, self._allowed = loop, allowed
        self._proxy = 0
        self._channel: socket.socket | None = None
        self._lines = Lines(LINE_LIMIT)
        self.path = os.path.join(directory, "gate-" + os.urandom(4).hex())
        self._door: socket.socket | None = socket.socket(socket.AF_UNIX)
        self._door.bind(self.path)
        self._door.listen(1)
        loop.watch(self._door.fileno(), self._take)

    def close(self) -> None:
        """End the proxy; idempotent."""
        self._shut()
        self._hang_up()
        if self._proxy:
            os.kill(self._proxy, signal.SIGKILL)
            os.waitpid(self._proxy, 0)
            self._proxy = 0

    def _take(self) -> None:
        """Take the socket; nobody is asked twice."""
        assert self._door is not None
        try:
            giver, _ = self._door.accept()
            self._shut()
            with giver:
                giver.settimeout(PATIENCE)
                _, descriptors, _, _ = socket.recv_fds(giver, 1, 1, socket.MSG_CMSG_CLOEXEC)
            with _listener(descriptors) as listener:
                self._serve(listener)
            tell({"opened": True})
        except OSError as error:
            tell({"error": f"the container's way out cannot be made: {error.strerror or error}"})

    def _serve(self, listener: socket.socket) -> None:
        start = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start.py")
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._proxy = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", start, "proxy", str(os.getpid())],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), 0),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 1),
                ],
                setsigdef=(signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE),
                setsigmask=(),
            )
        self._channel.settimeout(PATIENCE)
        self._channel.sendall(json.dumps(self._allowed).encode() + b"\n")
        self._loop.watch(self._channel.fileno(), self._read)

    def _read(self) -> None:
        """Pass on what was denied."""
        assert self._channel is not None
        try:
            chunk = self._channel.recv(1 << 14)
            for line in self._lines.feed(chunk):
                told: dict[str, Any] = json.loads(line)
                tell({"denied": told["denied"]})
        except (OSError, ValueError):
            chunk = b""
        if not chunk:
            self._hang_up()

    def _shut(self) -> None:
        if self._door is not None:
            self._loop.unwatch(self._door.fileno())
            self._door.close()
            self._door = None
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._loop.unwatch(self._channel.fileno())
            self._channel.close()
            self._channel = None


def hand_out(path: str, port: int) -> None:
    """Listen at a port of this network, and have somebody else accept there: who listens at the path.

    Raises:
        OSError: it cannot be done.
    """
    with socket.create_server(("127.0.0.1", port)) as server, socket.socket(socket.AF_UNIX) as way:
        way.settimeout(PATIENCE)
        way.connect(path)
        socket.send_fds(way, [b"x"], [server.fileno()])


def _listener(descriptors: list[int]) -> socket.socket:
    """The socket that was handed out: an image's Python may have handed out anything.

    Raises:
        OSError: it is none at which connections are accepted.
    """
    if not descriptors:
        raise OSError(0, "its first process handed out no socket")
    try:
        listener = socket.socket(fileno=descriptors[0])
    except OSError:
        os.close(descriptors[0])
        raise
    if listener.family != socket.AF_INET or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        raise OSError(0, "its first process handed out something else")
    return listener
