"""What the channels of a stream are connected to, at either end of it: sockets, and files on their way."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator

from .files import Receiver
from .loop import Loop
from .mux import CHUNK, CLOSE, CONTROL, DATA, OPEN, Frame, Mux

FULL = 1 << 18
"""Bytes that wait to be sent, beyond which nothing more is read for them."""


class End:
    """What one channel is connected to.

    Attributes:
        descriptor: becomes ready when there is something to take, or room to pass on; -1 where it always is.
    """

    descriptor = -1

    @property
    def waiting(self) -> int:
        """Bytes that were given and not passed on yet."""
        return 0

    @property
    def why(self) -> bytes:
        """What the other end is told when there is nothing more to take."""
        return b""

    def take(self, most: int) -> bytes | None:
        """Return some bytes for the other end; None when there are none now, none at all at their end."""
        return None

    def give(self, data: bytes) -> int:
        """Take bytes from the other end; return how many were passed on, also of those before."""
        return len(data)

    def close(self, why: bytes) -> None:
        """The channel is closed; `why` is what the other end says."""


class SocketEnd(End):
    """A connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._socket = connection
        self._given = bytearray()
        self.descriptor = connection.fileno()

    @property
    def waiting(self) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._given)

    def take(self, most: int) -> bytes | None:
        """Return what there is to read."""
        try:
            return self._socket.recv(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def give(self, data: bytes) -> int:
        """Write what can be written."""
        self._given += data
        try:
            count = self._socket.send(self._given) if self._given else 0
        except BlockingIOError:
            return 0
        except OSError:  # seen where it is read
            count = len(self._given)
        del self._given[:count]
        return count

    def close(self, why: bytes) -> None:
        """Hang up."""
        self._socket.close()


class FilesOut(End):
    """Files that are sent, see `files.py`; the other end closes the channel when it has them all.

    Args:
        pieces: the records.
        done: called when the channel is closed, with what the other end says.
    """

    def __init__(self, pieces: Iterator[bytes], done: Callable[[str], None] = lambda _: None) -> None:
        self._pieces, self._done = pieces, done
        self._rest = b""

    def take(self, most: int) -> bytes | None:
        """Return the next bytes."""
        while len(self._rest) < most and (piece := next(self._pieces, b"")):
            self._rest += piece
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken or None

    def close(self, why: bytes) -> None:
        """The other end has them all, or says why not."""
        self._done(why.decode("utf-8", "replace"))


class FilesIn(End):
    """Files that come, see `files.py`.

    Args:
        receiver: writes them.
        done: called when all have come, or no more will.
    """

    def __init__(self, receiver: Receiver, done: Callable[[], None] = lambda: None) -> None:
        self._receiver, self._done = receiver, done

    @property
    def why(self) -> bytes:
        """What could not be written."""
        return os.fsencode(self._receiver.error[:1000])

    def take(self, most: int) -> bytes | None:
        """Return the end, when all is there."""
        return b"" if self._receiver.done else None

    def give(self, data: bytes) -> int:
        """Write the files."""
        self._receiver.feed(data)
        return len(data)

    def close(self, why: bytes) -> None:
        """All have come, or no more will."""
        self._receiver.close()
        self._done()


class Relay:
    """One end of the stream.

    Args:
        loop: of this process.
        mux: of this end.
        stream: descriptor to write to, which does not block.
        opened: returns what a channel is to be connected to that the other end has opened; None for nothing.
    """

    def __init__(self, loop: Loop, mux: Mux, stream: int, opened: Callable[[bytes], End | None]) -> None:
        self._loop, self._mux, self._stream, self._opened = loop, mux, stream, opened
        self._ends: dict[int, End] = {}
        self._leaving: set[int] = set()

    def connect(self, what: bytes, end: End) -> None:
        """Open a channel to something at the other end."""
        self._ends[self._mux.open(what)] = end

    def received(self, data: bytes) -> bytes:
        """Take what has come through the stream; return what belongs to no channel.

        Raises:
            ValueError: the other end does not keep to what there is to send.
        """
        control = b""
        for frame in self._mux.feed(data):
            if frame.kind == CONTROL:
                control += frame.data
            else:
                self._dispatch(frame)
        return control

    def turn(self) -> None:
        """Move on what can be moved, a piece of each in turn, and wait for the rest."""
        moved = True
        while moved and len(self._mux.out) < FULL:
            moved = sum(self._move(channel, end) for channel, end in list(self._ends.items())) > 0
        self.flush()
        for channel, end in self._ends.items():
            if end.descriptor >= 0:
                reading = len(self._mux.out) < FULL and self._mux.room(channel) > 0
                self._loop.watch(end.descriptor, self.turn if reading else None)
                self._loop.watch_room(end.descriptor, self.turn if end.waiting else None)
        self._loop.watch_room(self._stream, self.turn if self._mux.out else None)

    def flush(self) -> None:
        """Write what can be written at once."""
        with contextlib.suppress(BlockingIOError, ConnectionError):  # a lost stream is noticed where it is read
            while self._mux.out:
                with memoryview(self._mux.out) as out:
                    count = os.write(self._stream, out[: 4 * CHUNK])
                del self._mux.out[:count]

    def close(self) -> None:
        """The stream is gone, and every connection with it."""
        for channel in list(self._ends):
            self._lose(channel, b"")
        self._loop.watch_room(self._stream, None)

    def _move(self, channel: int, end: End) -> bool:
        """Move on a piece of what goes through a channel, in both directions; return whether one was sent."""
        if end.waiting:
            self._mux.passed(channel, end.give(b""))
        elif channel in self._leaving:
            self._lose(channel, b"")
        room = min(self._mux.room(channel), CHUNK)
        data = end.take(room) if room else None
        if data:
            self._mux.send(channel, data)
        elif data is not None:
            self._mux.close(channel, end.why)
            self._lose(channel, b"")
        return bool(data)

    def _dispatch(self, frame: Frame) -> None:
        if frame.kind == OPEN:
            end = self._opened(frame.data)
            if end is None:
                self._mux.close(frame.channel)
            else:
                self._ends[frame.channel] = end
        elif frame.kind == DATA:
            self._mux.passed(frame.channel, self._ends[frame.channel].give(frame.data))
        elif frame.kind == CLOSE and self._ends[frame.channel].waiting:
            self._leaving.add(frame.channel)  # until it has what was sent before
        elif frame.kind == CLOSE:
            self._lose(frame.channel, frame.data)

    def _lose(self, channel: int, why: bytes) -> None:
        end = self._ends.pop(channel)
        self._leaving.discard(channel)
        if end.descriptor >= 0:
            self._loop.unwatch(end.descriptor)
        end.close(why)
