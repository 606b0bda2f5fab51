"""Files that a kernel has written where the host looks for them. Nothing about them is believed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kernel_exec.folder import open_regular


def read_untrusted(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a file; nothing where there is none that may be read."""
    try:
        with open(open_regular(path), "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def copy_untrusted(
    source: Path, target: int, limit: int, change: Callable[[Iterable[str]], Iterable[str]] | None = None
) -> int:
    """Copy at most `limit` bytes of a file into another; return how many there were.

    Args:
        source: the file.
        target: an open descriptor of the other, at its beginning; it is emptied.
        limit: bytes to copy at most.
        change: what is made of its text, in pieces; None to copy its bytes.

    Raises:
        OSError: it may not be read, or the other cannot be written.
    """
    reader = open_regular(source)
    copied = 0
    try:
        os.ftruncate(target, 0)
        if change is not None:
            return sum(os.write(target, piece.encode("utf-8", "replace")) for piece in change(_texts(reader, limit)))
        while copied < limit and (count := os.sendfile(target, reader, None, min(limit - copied, 2**30))):
            copied += count
    finally:
        os.close(reader)
    return copied


def _texts(reader: int, limit: int) -> Iterator[str]:
    with open(reader, encoding="utf-8", errors="replace", newline="", closefd=False) as file:
        while limit > 0 and (text := file.read(min(limit, 2**20))):
            limit -= len(text.encode("utf-8", "replace"))
            yield text


def ends_of(path: Path, head: int, tail: int) -> tuple[str, int]:
    """Return the end of a text file behind its head, and how many bytes between the two are left out.

    Args:
        path: the file, in UTF-8.
        head: bytes at its beginning that are not wanted; less where a character would be cut.
        tail: bytes at its end that are.
    """
    try:
        with open(open_regular(path), "rb") as file:
            start = len(file.read(head).decode("utf-8", "ignore").encode("utf-8"))
            size = os.fstat(file.fileno()).st_size
            left_out = max(0, size - start - tail)
            file.seek(start + left_out)
            return file.read(tail).decode("utf-8", "replace"), left_out
    except OSError:
        return "", 0
