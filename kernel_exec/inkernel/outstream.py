"""sys.stdout and sys.stderr of the kernel, and its descriptors 1 and 2.

Differs from ipykernel's stream, which it stands in for, in this:

- The descriptors are FIFOs that outlive the kernel. `flush` reads what lies in them first, so that what a cell wrote
  to them (a subprocess, C code) is in its output when the cell ends.
- `flush` does not wait for the thread that sends: messages leave in the order in which they are handed to it, and
  that is all that a flush is for. A death before they have left loses nothing, see `spool`.
- A writer that is faster than the sending thread waits for it, so that the text in memory is bounded.
- What is beyond the limits of a cell's output is kept back, see `budget`.
- A forked child writes to its descriptors: the parent's sockets and threads are none of its.
"""

from __future__ import annotations

import codecs
import contextvars
import ctypes
import fcntl
import os
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, NamedTuple

from ipykernel.iostream import OutStream as _OutStream

from .budget import CUT_TYPE, Sizes, TextBudget
from .spool import Pending, Spool
from .text import sendable

_libc = ctypes.PyDLL(None)  # calls through it keep the interpreter's lock
CHUNK = 64 * 1024
"""Characters of one piece of text, and bytes of one read: what fits in `Pending` in any encoding."""
QUIET_REQUESTS = frozenset(
    f"{kind}_request" for kind in ("kernel_info", "complete", "inspect", "history", "is_complete", "comm_info")
)
"""Requests that have no output: what threads and descriptors put out meanwhile stays with the cell before them."""
quiet: contextvars.ContextVar[bool] = contextvars.ContextVar("quiet", default=False)
"""Whether what this thread puts out is nobody's: it answers a question beside the cells."""


class Piece(NamedTuple):
    """Text that is to be sent, its place in the order of all output, and the request that it belongs to."""

    number: int
    parent: dict[str, Any]
    text: str
    kept: int
    """How many bytes of `Pending` it takes; 0 when it had no room there."""


class OutStream(_OutStream):
    """A stream of the kernel. The class attributes are set before ipykernel makes its two instances."""

    spool: ClassVar[Spool]
    directory: ClassVar[str]
    sizes: ClassVar[Sizes | None] = None
    flush_interval = 0.05

    def __init__(
        self, session: Any, pub_thread: Any, name: str, pipe: Any = None, echo: Any = None, **kwargs: Any
    ) -> None:
        kwargs["watchfd"] = False
        super().__init__(session, pub_thread, name, pipe, None, **kwargs)
        self._owner = os.getpid()
        self._descriptor = 1 if name == "stdout" else 2
        self._lock = threading.RLock()
        self._pieces: deque[Piece] = deque()
        self._timer_set = False
        self._closed = False
        self._request: dict[str, Any] = {}
        self._child_text = (0, "")
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = self._open_pending()
        self._budget = TextBudget(name, self.directory, self.sizes) if self.sizes else None
        self.fifo = os.path.join(self.directory, name)
        self._buffer = ctypes.create_string_buffer(CHUNK)
        self._reader = os.open(self.fifo, os.O_RDONLY | os.O_NONBLOCK)
        loop = pub_thread.io_loop
        loop.add_callback(loop.add_handler, self._reader, self._arrived, loop.READ)

    # What user code sees of a stream

    def fileno(self) -> int:
        """The descriptor, whose output is the cell's as well."""
        return self._descriptor

    @property
    def closed(self) -> bool:
        """Whether user code closed the stream; it is open again for the next cell."""
        return self._closed

    def close(self) -> None:
        """Refuse further writes until `reopen`."""
        self.flush()
        self._closed = True

    def reopen(self) -> None:
        """Take writes again."""
        self._closed = False

    def write(self, string: str) -> int:
        """Write text.

        Raises:
            TypeError: it is not a string.
            ValueError: the stream was closed.
        """
        if not isinstance(string, str):
            raise TypeError(f"write() argument must be str, not {type(string).__name__}")
        if self._closed:
            raise ValueError("I/O operation on closed file")
        if quiet.get():
            return len(string)
        text = sendable(string)
        if os.getpid() != self._owner:
            self._write_in_child(text)
            return len(string)
        self._drain_first()
        text = self._within_budget(text)
        for start in range(0, len(text), CHUNK):
            self._put(text[start : start + CHUNK])
        return len(string)

    def flush(self) -> None:
        """Hand everything that was written, to the stream or its descriptor, to the sending thread."""
        if os.getpid() != self._owner:
            self._write_in_child("", whole_lines=False)
            return
        if self._is_sender():
            self._flush()
            return
        self._drain_first()
        self._hand_over()

    def begin_cell(self) -> None:
        """A cell begins: its limits are its own."""
        if self._budget is not None:
            self.end_cell()
            with self._lock:
                self._budget.begin()

    def end_cell(self) -> None:
        """A cell has ended: send the end of what was kept back, and how much before it is left out."""
        if self._budget is None or os.getpid() != self._owner:
            return
        self.flush()
        with self._lock:
            text, left_out = self._budget.rest()
            number = next(self.spool.numbers)
        if text:
            self._in_order(partial(self._send_rest, Piece(number, self._request, text, 0), left_out))

    def set_parent(self, parent: dict[str, Any]) -> None:
        """Say which request later output belongs to."""
        if parent.get("header", {}).get("msg_type") not in QUIET_REQUESTS:
            super().set_parent(parent)
            self._request = self.parent_header

    # Writing

    def _drain_first(self) -> None:
        """What was written to the descriptor before comes before what follows."""
        with self._lock:  # the sending thread may have read it and not yet kept it
            waiting = _readable_bytes(self._reader)
        if waiting:
            self._in_sender(self._drain)

    def _write_in_child(self, text: str, *, whole_lines: bool = True) -> None:
        """Write to the descriptor, in whole lines: several children write at once."""
        owner, before = self._child_text
        text = before + text if owner == os.getpid() else text
        end = text.rfind("\n") + 1 if whole_lines else len(text)
        self._child_text = os.getpid(), text[end:]
        _write_all(self._descriptor, text[:end].encode("utf-8", "replace"))

    def _within_budget(self, text: str) -> str:
        if self._budget is None:
            return text
        with self._lock:
            return self._budget.take(text)

    def _put(self, text: str) -> None:
        parent = self.parent_header
        if not self._add(text, parent):
            # The text in memory has reached its limit: wait until it is sent.
            self._in_sender(self._send)
            self._add(text, parent, force=True)
        self._send_later()

    def _add(self, text: str, parent: dict[str, Any], *, force: bool = False) -> bool:
        with self._lock:
            number = next(self.spool.numbers)
            kept = self._pending.add(number, parent.get("msg_id", ""), text) if self._pending is not None else 0
            fits = self._pending is None or kept > 0
            if fits or force:
                self._pieces.append(Piece(number, parent, text, kept))
            return fits

    def _hand_over(self) -> None:
        """Have the text so far sent in its turn: displays that were made before its end may still be waiting."""
        with self._lock:
            last = self._pieces[-1].number if self._pieces else None
        if last is not None:
            self.pub_thread.schedule(partial(self._send, last))

    def _send_later(self) -> None:
        if not self._timer_set:
            self._timer_set = True
            self.pub_thread.schedule(lambda: self._io_loop.call_later(self.flush_interval, self._flush))

    # In the sending thread

    def _flush(self) -> None:
        self._timer_set = False
        self._drain()
        self._hand_over()

    def _arrived(self, *_: Any) -> None:
        """Something was written to the descriptor."""
        self._drain()
        self._send_later()

    def _drain(self) -> None:
        """Take what lies in the FIFO; it is the last request's."""
        full = True
        while full:
            with self._lock:
                text = self._decoder.decode(_read_at_once(self._reader, self._buffer))
                text = self._within_budget(text)
                full = bool(text) and not self._add(text, self._request, force=True)
            if full:
                self._send()

    def _send(self, last: int | None = None) -> None:
        """Send the text up to the piece `last`, one message for each run of pieces of one request."""
        with self._lock:
            pieces = []
            while self._pieces and (last is None or self._pieces[0].number <= last):
                pieces.append(self._pieces.popleft())
        start = 0
        for end in range(1, len(pieces) + 1):
            if end == len(pieces) or pieces[end].parent != pieces[start].parent:
                self._send_message(pieces[start:end])
                start = end
        with self._lock:
            if self._pending is not None:
                self._pending.drop(sum(piece.kept for piece in pieces))

    def _send_message(self, pieces: list[Piece]) -> None:
        self._send_frames("stream", {"name": self.name, "text": "".join(piece.text for piece in pieces)}, pieces)

    def _send_frames(self, kind: str, content: dict[str, Any], pieces: list[Piece]) -> None:
        message = self.session.msg(kind, content, parent=pieces[0].parent)
        frames = self.session.serialize(message, ident=self.topic)
        self.spool.append(frames, pieces[0].number, self._descriptor, pieces[-1].number)
        if self.pub_thread.socket is not None:
            self.pub_thread.socket.send_multipart(frames)

    def _send_rest(self, piece: Piece, left_out: int) -> None:
        """Send the end of the text of a cell that put out too much."""
        if left_out:
            content = {"name": self.name, "left_out": left_out}
            self._send_frames(CUT_TYPE, content, [piece])
        self._send_message([piece])
        if self._budget is not None:
            self._budget.sent()

    # Threads

    def _in_order(self, action: Callable[[], None]) -> None:
        """Run `action` in the sending thread after what it was given before."""
        if self._is_sender():
            action()
        else:
            self.pub_thread.schedule(action)

    def _is_sender(self) -> bool:
        """Is this the sending thread, or is there none any more?"""
        thread = self.pub_thread.thread
        return not thread.is_alive() or thread is threading.current_thread()

    def _in_sender(self, action: Callable[[], None]) -> None:
        """Run `action` in the sending thread and wait for it, within `flush_timeout` seconds."""
        if self._is_sender():
            action()
            return
        done = threading.Event()
        self.pub_thread.schedule(action)
        self.pub_thread.schedule(done.set)
        done.wait(self.flush_timeout)

    def _open_pending(self) -> Pending | None:
        try:
            return Pending(os.path.join(self.directory, f"pending.{self._descriptor}"))
        except OSError:  # no room: everything works, but a sudden death loses the last text
            return None


def _read_at_once(descriptor: int, buffer: ctypes.Array[ctypes.c_char]) -> bytes:
    """Read what lies in a FIFO; nothing when it is empty, or when user code closed the descriptor.

    `os.read` lets other threads run. One that ended the process now, between the read and the keeping of what was
    read, would take it along.
    """
    count = _libc.read(descriptor, buffer, len(buffer))
    return ctypes.string_at(buffer, max(0, count))


def _readable_bytes(descriptor: int) -> int:
    """How many bytes lie in a FIFO; none when user code closed it."""
    try:
        count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
    except OSError:
        return 0
    return count


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
