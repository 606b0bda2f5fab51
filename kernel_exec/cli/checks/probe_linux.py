"""Tries calls of Linux, in a process of its own. Run as `python -I -S probe_linux.py DIRECTORY...`.

It prints a JSON object. Each value is None where the call works, and else what is wrong with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial

SOCKET_NAME = 14
"""Characters that the names of sockets in a runtime directory may have."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def fork() -> None:
    """Make a child, and see it end."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def pidfd() -> None:
    """Open a descriptor of this process."""
    os.close(os.pidfd_open(os.getpid()))


def subreaper() -> None:
    """Become the parent of orphans."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def lease() -> None:
    """Take a lease on a file in the temporary directory."""
    with tempfile.TemporaryFile() as file:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)


def directory(parent: str) -> None:
    """Make a directory with a name as long as a supervisor's, and a socket with the longest name in it."""
    with (
        tempfile.TemporaryDirectory(prefix="kernel-exec-", suffix="-doc", dir=parent) as path,
        socket.socket(socket.AF_UNIX) as server,
    ):
        server.bind(os.path.join(path, "k" * SOCKET_NAME))


def trouble(attempt: Callable[[], None]) -> str | None:
    """Return what is wrong with a call."""
    try:
        attempt()
    except (OSError, AttributeError) as error:
        return str(error)
    return None


def main() -> None:
    """Try everything; end with whoever wants to know."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    found = {call.__name__: trouble(call) for call in (fork, pidfd, subreaper, lease)}
    directories = {parent: trouble(partial(directory, parent)) for parent in sys.argv[1:]}
    print(json.dumps({**found, "directories": directories}))


if __name__ == "__main__":
    main()
