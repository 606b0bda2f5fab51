"""File-system events of Linux, for which the standard library has no call."""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from typing import NamedTuple

_MODIFY, _ATTRIB, _CLOSE_WRITE, _OPEN = 0x2, 0x4, 0x8, 0x20
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED, _ISDIR = 0x4000, 0x8000, 0x4000_0000
_ONLYDIR, _EXCL_UNLINK = 0x0100_0000, 0x0400_0000
# A file that is mapped into memory is written without an event, but not without having been opened.
_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _OPEN | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE

_HEAD = struct.Struct("iIII")
_BUFFER = 1 << 16
_READS = 256
"""Buffers that are read at a time: somebody may write faster than we read."""


class Event(NamedTuple):
    """Something happened to a name in a directory.

    Attributes:
        watch: the directory's number.
        name: the name; "" for the directory itself.
        ended: whether the watch has ended, because the directory is gone.
    """

    watch: int
    name: str
    ended: bool


class Overflow(Exception):
    """Events were lost, or there are too many to read: everything must be looked at."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Watches directories, each for changes of what it holds itself.

    Raises:
        OSError: the system has none left, or none at all.
    """

    def __init__(self) -> None:
        self._fd = _checked(_libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))

    def add(self, directory: int) -> int:
        """Watch an open directory; return the number of the watch, the same one when it is watched already.

        Raises:
            OSError: the user has no watch left (ENOSPC), or the file system has none.
        """
        path = b"/proc/self/fd/%d" % directory  # no name could be trusted to be the same directory still
        return _checked(_libc().inotify_add_watch(self._fd, path, _CHANGES | _ONLYDIR | _EXCL_UNLINK))

    def remove(self, watch: int) -> None:
        """End a watch; one that has ended is no error."""
        _libc().inotify_rm_watch(self._fd, watch)

    def read(self) -> list[Event]:
        """Return the events that have come, without waiting.

        Raises:
            Overflow: some were lost.
        """
        events: list[Event] = []
        for _ in range(_READS):
            try:
                data = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return events
            events += _parsed(data)
        raise Overflow

    def close(self) -> None:
        """End all watches; idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _parsed(data: bytes) -> list[Event]:
    events = []
    position = 0
    while position < len(data):
        watch, mask, _, length = _HEAD.unpack_from(data, position)
        if mask & _OVERFLOW:
            raise Overflow
        position += _HEAD.size + length
        if mask == _OPEN | _ISDIR:  # somebody lists a directory, such as we do
            continue
        name = data[position - length : position].rstrip(b"\0")
        events.append(Event(watch, os.fsdecode(name), bool(mask & _IGNORED)))
    return events


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
