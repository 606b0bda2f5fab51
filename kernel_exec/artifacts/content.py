"""Reads a file that somebody else may be changing, without following, blocking or believing anything."""

from __future__ import annotations

import hashlib
import os

from kernel_exec.artifacts.signatures import Signature, is_file, signature, size_of

_CHUNK = 1 << 20
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# A file that another process holds a lease on would make us wait for it.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def hash_of(folder: int, name: str, expected: Signature) -> str | None:
    """Return the SHA-256 of a file in hexadecimal; None when it is not, or not all the time, what was expected.

    Args:
        folder: an open directory.
        name: a name in it.
        expected: the signature of the file.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        found = os.open(name, _LOOK, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        if not is_file(expected) or signature(os.fstat(found)) != expected:
            return None
        # Opened through what was looked at: the name may be a device by now.
        fd = os.open(f"/proc/self/fd/{found}", _READ)
    finally:
        os.close(found)
    try:
        digest = _digest(fd, size_of(expected))
        whole = digest is not None and signature(os.fstat(fd)) == expected
    finally:
        os.close(fd)
    return digest if whole and _still(folder, name, expected) else None


def _digest(fd: int, size: int) -> str | None:
    """Hash what a descriptor holds; None when that is not `size` bytes."""
    digest = hashlib.sha256()
    left = size
    while chunk := os.read(fd, min(_CHUNK, left + 1)):
        left -= len(chunk)
        if left < 0:
            return None
        digest.update(chunk)
    return None if left else digest.hexdigest()


def _still(folder: int, name: str, expected: Signature) -> bool:
    try:
        return signature(os.stat(name, dir_fd=folder, follow_symlinks=False)) == expected
    except FileNotFoundError:
        return False
