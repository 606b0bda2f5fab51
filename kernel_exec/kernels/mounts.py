"""Mounts of keepers (`inkernel/mounts.py`) that nobody takes away any more: keeper and host were killed together."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import tempfile
from pathlib import Path

_MNT_DETACH = 2


def strays() -> list[Path]:
    """Return this user's directories of mounts that no keeper holds."""
    return [folder for folder in _folders() if folder.stat().st_uid == os.getuid() and not _held(folder)]


def unmount(folder: Path) -> None:
    """Take away what is mounted in a keeper's directory, and the directory. What is in the mounts is the user's."""
    if folder.is_dir():
        libc = ctypes.CDLL(None)
        for point in folder.iterdir():
            libc.umount2(os.fsencode(point), _MNT_DETACH)
            with contextlib.suppress(OSError):
                (point.rmdir if point.is_dir() else point.unlink)()
        with contextlib.suppress(OSError):
            folder.rmdir()


def _folders() -> list[Path]:
    parents = dict.fromkeys((tempfile.gettempdir(), "/tmp", "/dev/shm"))  # noqa: S108 - where keepers work
    found = [path for parent in parents for path in Path(parent).glob("kernel-exec-*-m")]
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _held(folder: Path) -> bool:
    """Whether a keeper lives that has its lock on the directory."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True  # it went, or is not ours to judge
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
