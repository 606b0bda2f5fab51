"""The zmq context: shared by the executors of a process while there are any, gone with the last of them.

A context is two operating-system threads; fifty executors need no hundred. It is counted instead of global,
so that a process whose executors are closed is as it was before, descriptors and threads included.
"""

from __future__ import annotations

import os
import threading

import zmq

_ZERO_COPY_RECV = 10  # zmq_ctx_set(3); pyzmq has no name for it
_lock = threading.Lock()
_shared: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}  # by pid: a forked child must not touch its parent's
_users: dict[int, int] = {}


def acquire() -> zmq.Context[zmq.Socket[bytes]]:
    """Return this process's context; each call needs one `release`."""
    pid = os.getpid()
    with _lock:
        if not _users.get(pid):
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            context.set(zmq.MAX_SOCKETS, 60_000)
            # Else each message that waits holds all of the buffer that it was read with: four times the memory.
            context.set(_ZERO_COPY_RECV, 0)
            _shared[pid] = context
        _users[pid] = _users.get(pid, 0) + 1
        return _shared[pid]


def release() -> None:
    """Give the context back; the last to do so ends it. All sockets must be closed."""
    pid = os.getpid()
    with _lock:
        _users[pid] -= 1
        context = _shared.pop(pid) if not _users[pid] else None
    if context is not None:
        context.term()
