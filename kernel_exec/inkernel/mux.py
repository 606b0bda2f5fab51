"""Many connections in one stream of bytes, each at its own pace. Pure: bytes in, bytes out.

A frame is HEADER and its data. The end that asks opens channels, and gives each a number that is never used again;
either end closes one. What a channel carries is sent only as far as the other end has room for it: WINDOW bytes, and
as many again as it has passed on. So neither end ever holds more than that for a channel, whoever does not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct(">BII")
"""Kind, channel, length of what follows."""
CONTROL, OPEN, DATA, CREDIT, CLOSE = range(5)
CHUNK = 1 << 16
"""Bytes of a frame's data at the most."""
WINDOW = 1 << 20
CHANNELS = 256
"""Channels that may be open at a time."""
_CREDIT = struct.Struct(">I")


class Broken(ValueError):
    """The other end does not keep to this."""


class Frame(NamedTuple):
    """What has come."""

    kind: int
    channel: int
    data: bytes


class _Channel:
    """What may still be sent in a channel, what may still come, and what of that was passed on and not told yet."""

    __slots__ = ("coming", "passed", "room")

    def __init__(self) -> None:
        self.room = self.coming = WINDOW
        self.passed = 0


class Mux:
    """One end of the stream.

    Args:
        opens: whether this end opens the channels; the other end may not.

    Attributes:
        out: what is to be sent to the other end; whoever sends it takes it away.
    """

    def __init__(self, *, opens: bool) -> None:
        self._opens = opens
        self._received = bytearray()
        self._channels: dict[int, _Channel] = {}
        self._last = 0
        self.out = bytearray()

    def control(self, data: bytes) -> None:
        """Send what belongs to no channel."""
        for start in range(0, len(data), CHUNK):
            self._put(CONTROL, 0, data[start : start + CHUNK])

    def open(self, what: bytes) -> int:
        """Open a channel to what is named; return its number."""
        self._last += 1
        self._channels[self._last] = _Channel()
        self._put(OPEN, self._last, what)
        return self._last

    def room(self, channel: int) -> int:
        """Return how many bytes may be sent in a channel; none where it is closed."""
        return self._channels[channel].room if channel in self._channels else 0

    def send(self, channel: int, data: bytes) -> None:
        """Send no more bytes than there is room for."""
        self._channels[channel].room -= len(data)
        self._put(DATA, channel, data)

    def passed(self, channel: int, count: int) -> None:
        """So many bytes were passed on: the other end may send as many again."""
        if (state := self._channels.get(channel)) is None:
            return
        state.passed += count
        if state.passed >= WINDOW // 4:
            self._put(CREDIT, channel, _CREDIT.pack(state.passed))
            state.coming += state.passed
            state.passed = 0

    def close(self, channel: int, why: bytes = b"") -> None:
        """Close a channel, if it is open."""
        if self._channels.pop(channel, None) is not None:
            self._put(CLOSE, channel, why)

    @property
    def full(self) -> bool:
        """Whether as many channels are open as may be."""
        return len(self._channels) >= CHANNELS

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield what is whole now, but for credit and for channels that were closed here meanwhile.

        Raises:
            Broken: the other end sends what it may not.
        """
        self._received += data
        start = 0
        try:
            while len(self._received) - start >= HEADER.size:
                kind, channel, length = HEADER.unpack_from(self._received, start)
                if length > CHUNK:
                    raise Broken(f"a frame of {length} bytes")
                end = start + HEADER.size + length
                if len(self._received) < end:
                    return
                with memoryview(self._received) as received:
                    frame = Frame(kind, channel, bytes(received[start + HEADER.size : end]))
                start = end
                if self._is_for_us(frame):
                    yield frame
        finally:
            del self._received[:start]

    def _is_for_us(self, frame: Frame) -> bool:
        if frame.kind == CONTROL:
            return True
        if frame.kind == OPEN and not self._opens and frame.channel > self._last and not self.full:
            self._last = frame.channel
            self._channels[frame.channel] = _Channel()
            return True
        if frame.kind not in (DATA, CREDIT, CLOSE) or frame.channel > self._last:
            raise Broken(f"a frame of kind {frame.kind} for channel {frame.channel}")
        if (state := self._channels.get(frame.channel)) is None:
            return False
        if frame.kind == CLOSE:
            del self._channels[frame.channel]
        elif frame.kind == DATA:
            state.coming -= len(frame.data)
            if state.coming < 0:
                raise Broken(f"more than there is room for in channel {frame.channel}")
        else:
            state.room += _credit(frame.data)
            if state.room > WINDOW:
                raise Broken(f"too much credit for channel {frame.channel}")
        return frame.kind != CREDIT

    def _put(self, kind: int, channel: int, data: bytes) -> None:
        self.out += HEADER.pack(kind, channel, len(data))
        self.out += data


def _credit(data: bytes) -> int:
    if len(data) != _CREDIT.size:
        raise Broken("credit that is no number")
    return int(_CREDIT.unpack(data)[0])
