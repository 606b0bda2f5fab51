"""Files that a kernel has written where the host looks for them. Nothing about them is believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_untrusted(path: Path) -> int:
    """Open a file for reading; return its descriptor.

    Raises:
        OSError: there is none, or it is a link, a FIFO, a device or anything else but a regular file.
    """
    descriptor = os.open(path, _FLAGS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no regular file")
    return descriptor


def read_untrusted(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file; nothing where there is none that may be read."""
    try:
        with open(open_untrusted(path), "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def copy_untrusted(source: Path, target: Path, limit: int) -> None:
    """Copy at most `limit` bytes of a file into another.

    Raises:
        OSError: it may not be read, or the other cannot be written.
    """
    reader = open_untrusted(source)
    try:
        with target.open("wb") as file:
            while limit > 0 and (count := os.sendfile(file.fileno(), reader, None, min(limit, 2**30))):
                limit -= count
    finally:
        os.close(reader)


def ends_of(path: Path, head: int, tail: int) -> tuple[str, int]:
    """Return the end of a text file behind its head, and how many bytes between the two are left out.

    Args:
        path: the file, in UTF-8.
        head: bytes at its beginning that are not wanted; less where a character would be cut.
        tail: bytes at its end that are.
    """
    try:
        with open(open_untrusted(path), "rb") as file:
            start = len(file.read(head).decode("utf-8", "ignore").encode("utf-8"))
            size = os.fstat(file.fileno()).st_size
            left_out = max(0, size - start - tail)
            file.seek(start + left_out)
            return file.read(tail).decode("utf-8", "replace"), left_out
    except OSError:
        return "", 0
