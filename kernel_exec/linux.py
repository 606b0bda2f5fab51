"""What is asked of Linux that the standard library has no call for."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import select
import signal
import socket
import struct
import weakref
from collections.abc import Callable, Iterator

_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
_IN_CLOSE_WRITE = 0x08
_IN_NAMES = _IN_CLOSE_WRITE | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Written; moved from, moved to, created, deleted; and the directory itself deleted or moved. inotify(7)"""
_EVENT = struct.Struct("iIII")

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""What a file system answers that does not know a call."""


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def exchange(one: str, other: str, folder: int) -> None:
    """Swap two names in an open directory in one step, so that neither is missing at any instant.

    Raises:
        OSError: one is missing, or (errno in `UNSUPPORTED`) the file system cannot.
    """
    _rename(one, other, folder, _RENAME_EXCHANGE)


def rename_new(source: str, target: str, folder: int) -> None:
    """Rename what lies in an open directory; never replace anything.

    Raises:
        FileExistsError: the target exists.
    """
    try:
        _rename(source, target, folder, _RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        os.link(source, target, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.unlink(source, dir_fd=folder)


def _rename(source: str, target: str, folder: int, flags: int) -> None:
    renameat2: Callable[..., int] | None = getattr(_libc(), "renameat2", None)
    if renameat2 is None:  # a C library older than the kernel's call
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source, None, target)
    if renameat2(folder, os.fsencode(source), folder, os.fsencode(target), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source, None, target)


@contextlib.contextmanager
def alone(fd: int) -> Iterator[bool]:
    """Keep everybody else from opening a file; the value tells whether nobody else has it open now.

    Whoever opens it meanwhile waits. A file system without leases cannot tell, so the answer there is no.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # ignored by default; SIGIO would end the process
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):  # taken away from us: somebody waited for 45 seconds
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def wait_closed(fd: int, seconds: float) -> bool:
    """Wait until nobody has a file open for writing; whether that came true within `seconds`.

    Args:
        fd: our own descriptor of it, opened for reading.
        seconds: how long to wait at most.
    """
    watch = _libc().inotify_init1(os.O_CLOEXEC)
    if watch < 0:
        return not is_written(fd)
    try:
        # No name could be trusted to be the same file still.
        _libc().inotify_add_watch(watch, b"/proc/self/fd/%d" % fd, _IN_CLOSE_WRITE)
        # Asked after the watch is set, so that no close slips through between the two.
        return not is_written(fd) or bool(select.select([watch], [], [], seconds)[0])
    finally:
        os.close(watch)


def is_written(fd: int) -> bool:
    """Whether somebody has the file of this descriptor open for writing; no, where leases are unknown."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def watch_folder(folder: os.PathLike[str]) -> int:
    """Return a descriptor that can be read when something happens to a name in a directory: its events.

    Raises:
        OSError: the system does not tell, or the directory is not there.
    """
    watch = int(_libc().inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    if watch < 0:
        raise OSError(ctypes.get_errno(), "inotify cannot be used")
    if _libc().inotify_add_watch(watch, os.fsencode(folder), _IN_NAMES) < 0:
        os.close(watch)
        raise OSError(ctypes.get_errno(), "the directory cannot be watched", os.fspath(folder))
    return watch


def names_of(events: bytes) -> Iterator[bytes]:
    """Yield the names that events of a directory are about; b"" for the directory, and for events that were lost."""
    at = 0
    while at + _EVENT.size <= len(events):
        *_, length = _EVENT.unpack_from(events, at)
        at += _EVENT.size
        yield events[at : at + length].rstrip(b"\0")
        at += length


class NameLock:
    """A lock on a name that ends with its process, however that ends: an abstract socket, no file.

    Args:
        name: what is locked; at most 107 bytes.

    Raises:
        OSError: EADDRINUSE when it is locked already.
    """

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(f"\0{name}")
        except OSError:
            self._socket.close()
            raise
        _locks.add(self)

    def release(self) -> None:
        """Let go of the lock; idempotent."""
        self._socket.close()


def is_locked(name: str) -> bool:
    """Whether somebody in this network namespace holds the `NameLock` of that name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(f"\0{name}")
        except OSError:
            return False
        return True


_locks: weakref.WeakSet[NameLock] = weakref.WeakSet()


def _release_in_child() -> None:
    """A forked child must not hold on to what its parent locked."""
    for lock in list(_locks):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
