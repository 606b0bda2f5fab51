"""What a kernel has put out, kept in files that outlive it.

A kernel that dies suddenly (os._exit, a signal) loses what its sockets had not yet sent. So every iopub message is
also appended to a file in the runtime directory, and text that no message holds yet lies in memory that is mapped to
a file: what is written there survives the process without a system call. The host reads both after the death.

Every piece has a number, taken when it was put out; sorted by it, messages and text are in their true order.

Files: `spool.0` and `spool.1` are used in turn when one is full. A record is HEADER and then the frames of a message,
each with its length before it. `pending.1` and `pending.2` hold text of stdout and stderr, see `Pending`.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import threading
from collections.abc import Sequence

HEADER = struct.Struct("<BQQI")
"""Stream (0 none, 1 stdout, 2 stderr, 255 the id of the request that runs), number, number of the last piece of text
in it, length of what follows."""
LENGTH = struct.Struct("<I")
PIECE = struct.Struct("<QHI")
"""Number, length of the parent's id, length of the text."""
STATE = struct.Struct("<Q")
REQUEST = 255
FILE_LIMIT = 16 * 1024 * 1024
HALF = 256 * 1024


class Spool:
    """The messages since the last execute request.

    Args:
        directory: the runtime directory.
    """

    def __init__(self, directory: str) -> None:
        self.numbers = itertools.count(1)
        self._owner = os.getpid()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC
        self._files = [os.open(os.path.join(directory, f"spool.{index}"), flags, 0o600) for index in (0, 1)]
        self._sizes = [0, 0]
        self._current = 0
        self._lock = threading.Lock()

    def begin(self, request: str) -> None:
        """Forget the messages of earlier requests: the client had them before it sent this one."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            for index in (0, 1):
                self._truncate(index, 0)
            self._current = 0
        self._append(REQUEST, 0, 0, request.encode())

    def append(self, frames: Sequence[bytes], number: int, stream: int = 0, covers: int = 0) -> None:
        """Keep a message.

        Args:
            frames: its frames, as they are sent.
            number: its place in the order.
            stream: 1 or 2 when it holds text of stdout or stderr.
            covers: the number of the last piece of that text.
        """
        if os.getpid() == self._owner:
            parts = [part for frame in frames for part in (LENGTH.pack(len(frame)), frame)]
            self._append(stream, number, covers, b"".join(parts))

    def _append(self, stream: int, number: int, covers: int, payload: bytes) -> None:
        record = HEADER.pack(stream, number, covers, len(payload)) + payload
        if len(record) > FILE_LIMIT:
            return
        with self._lock:
            index = self._current
            if self._sizes[index] + len(record) > FILE_LIMIT:
                index = self._current = 1 - index
                self._truncate(index, 0)
            self._write(index, record)

    def _write(self, index: int, record: bytes) -> None:
        try:
            written = os.write(self._files[index], record)
        except OSError:  # a full disk, or user code closed our descriptor: the message is sent all the same
            return
        if written == len(record):
            self._sizes[index] += written
        else:
            self._truncate(index, self._sizes[index])

    def _truncate(self, index: int, size: int) -> None:
        try:
            os.ftruncate(self._files[index], size)
        except OSError:  # as above
            return
        self._sizes[index] = size


class Pending:
    """Text of one stream that is not yet in a message, in memory mapped to a file.

    The file holds a state and two halves, one of which is in use; the state says which, and from where to where. The
    state changes in one step, so that whoever reads the file after a sudden death finds one or the other.
    Not locked: whoever uses it holds a lock.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        size = STATE.size + 2 * HALF
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Its blocks must be there: writing to mapped memory on a full disk would kill the process.
            os.posix_fallocate(descriptor, 0, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._half = self._start = self._end = 0

    def add(self, number: int, parent: str, text: str) -> int:
        """Add a piece of text; return the bytes that it takes, 0 when there is no room for it."""
        piece = _piece(number, parent, text)
        if self._end + len(piece) > HALF:
            self._move()
        end = self._end + len(piece)
        if end > HALF:
            return 0
        self._put(self._half, self._end, piece)
        self._set(self._half, self._start, end)
        return len(piece)

    def drop(self, size: int) -> None:
        """Forget the first pieces, which take `size` bytes together."""
        start = self._start + size
        self._set(self._half, *((0, 0) if start == self._end else (start, self._end)))

    def _move(self) -> None:
        """Make room: what is held goes to the beginning of the other half."""
        begin = STATE.size + self._half * HALF
        held = self._memory[begin + self._start : begin + self._end]
        self._put(1 - self._half, 0, held)
        self._set(1 - self._half, 0, len(held))

    def _put(self, half: int, at: int, piece: bytes) -> None:
        start = STATE.size + half * HALF + at
        self._memory[start : start + len(piece)] = piece

    def _set(self, half: int, start: int, end: int) -> None:
        self._memory[: STATE.size] = STATE.pack(half << 63 | start << 32 | end)
        self._half, self._start, self._end = half, start, end


def _piece(number: int, parent: str, text: str) -> bytes:
    identity, data = parent.encode(), text.encode("utf-8")
    return PIECE.pack(number, len(identity), len(data)) + identity + data
