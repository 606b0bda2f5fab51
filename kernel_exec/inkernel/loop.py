"""How every process between host and kernel waits: for descriptors, signals and commands, one JSON object a line."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

CHANNEL = 0
"""The descriptor of commands, and of a socket to the host that of events as well."""


class Loop:
    """Descriptors, and what is called when there is something to read from them, or room to write to."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}

    def watch(self, descriptor: int, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever `descriptor` can be read; None for nothing."""
        self._set(self._readers, descriptor, callback)

    def watch_room(self, descriptor: int, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever `descriptor` can be written to; None for nothing."""
        self._set(self._writers, descriptor, callback)

    def unwatch(self, descriptor: int) -> None:
        """End both."""
        self.watch(descriptor, None)
        self.watch_room(descriptor, None)

    def _set(self, called: dict[int, Callable[[], None]], descriptor: int, callback: Callable[[], None] | None) -> None:
        if callback == called.get(descriptor):
            return
        before = descriptor in self._readers or descriptor in self._writers
        if callback is None:
            del called[descriptor]
        else:
            called[descriptor] = callback
        events = select.POLLIN * (descriptor in self._readers) | select.POLLOUT * (descriptor in self._writers)
        if events:
            self._poll.register(descriptor, events)
        elif before:
            self._poll.unregister(descriptor)

    def turn(self, due: float | None) -> None:
        """Wait until something can be read, or until `due` (monotonic; None for no end), and call what is to be."""
        timeout = None if due is None else max(0.0, due - time.monotonic()) * 1000 + 1
        for descriptor, events in self._poll.poll(timeout):
            if events & ~select.POLLIN and (callback := self._writers.get(descriptor)):
                callback()
            if events & ~select.POLLOUT and (callback := self._readers.get(descriptor)):
                callback()


class Lines:
    """Cuts what arrives into lines."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._received = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that are whole now.

        Raises:
            ValueError: one is longer than the limit.
        """
        *lines, self._received = (self._received + chunk).split(b"\n")
        if len(self._received) > self._limit:
            raise ValueError("a line without an end")
        return lines


def tell(event: dict[str, Any], descriptor: int = CHANNEL) -> None:
    """Send an event to the host; a host that is gone is noticed elsewhere."""
    data = json.dumps(event).encode() + b"\n"
    with contextlib.suppress(ConnectionError):
        while data:
            data = data[os.write(descriptor, data) :]


def wake_on_signals() -> int:
    """Return a descriptor from which the numbers of the signals that arrived are read."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reader
