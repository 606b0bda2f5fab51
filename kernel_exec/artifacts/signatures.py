"""What the file system says of a file, in few bytes: when it is the same, nobody has touched the file."""

from __future__ import annotations

import os
import stat
import struct
from enum import IntEnum

_PACKED = struct.Struct("<4QIB")  # inode, size, mtime, ctime, names, kind
_NUMBER = struct.Struct("<Q")
_NAMES = struct.Struct("<I")
_64_BITS, _32_BITS = (1 << 64) - 1, (1 << 32) - 1


class Kind(IntEnum):
    """What lies under a name."""

    FILE = 1
    SYMLINK = 2
    FIFO = 3
    SOCKET = 4
    DEVICE = 5
    FOREIGN = 6
    """A directory of another file system."""
    DEEP = 7
    """A directory below too many others."""
    DIRECTORY = 8


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
}

Signature = bytes
"""Inode, size, times of the last change of content and of anything, number of names, and kind."""


def signature(info: os.stat_result) -> Signature:
    """Return the signature of what lies under a name."""
    return _PACKED.pack(
        info.st_ino,
        info.st_size,
        info.st_mtime_ns & _64_BITS,  # user code sets it to what it likes
        info.st_ctime_ns & _64_BITS,
        info.st_nlink & _32_BITS,
        _KINDS.get(stat.S_IFMT(info.st_mode), Kind.DIRECTORY),
    )


def closed_directory(info: os.stat_result, kind: Kind) -> Signature:
    """Return the signature of a directory that is not entered: what happens in it does not count."""
    return _PACKED.pack(info.st_ino, 0, 0, 0, 0, kind)


def is_file(found: Signature | None) -> bool:
    """Whether it is that of a regular file."""
    return found is not None and found[-1] == Kind.FILE


def kind_of(found: Signature) -> Kind:
    """Return what it is the signature of."""
    return Kind(found[-1])


def inode_of(found: Signature) -> int:
    """Return the number of the file within its file system."""
    number: int = _NUMBER.unpack_from(found)[0]
    return number


def identity(found: Signature) -> tuple[int, int]:
    """Return what stays when something is only written to: inode and kind."""
    return inode_of(found), found[-1]


def size_of(found: Signature) -> int:
    """Return the size in bytes."""
    number: int = _NUMBER.unpack_from(found, 8)[0]
    return number


def names_of(found: Signature) -> int:
    """Return how many names (hard links) it has."""
    number: int = _NAMES.unpack_from(found, 32)[0]
    return number


def changed_at(found: Signature) -> int:
    """Return when anything of the file was changed last, in nanoseconds since 1970."""
    number: int = _NUMBER.unpack_from(found, 24)[0]
    return number


def same_content(one: Signature, other: Signature) -> bool:
    """Whether nothing differs but what is done to a file under another name of it."""
    return one == other or (one[:24] == other[:24] and max(names_of(one), names_of(other)) > 1)
