"""Directories and files mounted once more with other owners: what is one user's on disk looks like another's there.

So a container's user, who is nobody on the host, can work in a directory of root's, and what it writes there is root's
at once, without any chown or chmod. Linux 5.12 and later, for root only. mount_setattr(2), user_namespaces(7).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import stat

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x100000
_MNT_DETACH = 2
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    """struct mount_attr."""

    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


class Mounts:
    """The mounts of one kernel, each below a directory that nothing else is in.

    Args:
        directory: made with the first mount. Never removed with what is in it: that is the user's.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._points: list[str] = []
        self._lock: int | None = None

    def add(self, source: str, uid: int, gid: int) -> str | None:
        """Mount `source` so that what its owner has looks like `uid`'s and `gid`'s; return where, None for nowhere."""
        point = os.path.join(self._directory, str(len(self._points)))
        try:
            owner = os.stat(source)
            os.makedirs(self._directory, 0o700, exist_ok=True)
            self._hold()
            if stat.S_ISDIR(owner.st_mode):
                os.mkdir(point, 0o700)
            else:
                os.close(os.open(point, os.O_CREAT | os.O_EXCL, 0o600))
            self._points.append(point)
            users = _user_namespace((owner.st_uid, uid), (owner.st_gid, gid))
            try:
                _mount(source, point, users)
            finally:
                os.close(users)
        except OSError:
            return None
        return point

    def remove(self) -> None:
        """Take all mounts away."""
        for point in self._points:
            _libc.umount2(os.fsencode(point), _MNT_DETACH)
            with contextlib.suppress(OSError):
                (os.rmdir if os.path.isdir(point) else os.unlink)(point)
        if self._points:
            with contextlib.suppress(OSError):
                os.rmdir(self._directory)
        self._points.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _hold(self) -> None:
        """Lock the directory, so that it is known whose it is as long as this process lives."""
        if self._lock is None:
            self._lock = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)


def _user_namespace(user: tuple[int, int], group: tuple[int, int]) -> int:
    """Return a descriptor of a user namespace with these two pairs: who is who on disk, and in the mount."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _libc.unshare(_CLONE_NEWUSER)
        os.write(writer, b"x")
        signal.pause()
        os._exit(0)
    try:
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        for name, (disk, shown) in (("uid_map", user), ("gid_map", group)):
            with open(f"/proc/{pid}/{name}", "w") as file:
                file.write(f"{disk} {shown} 1")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _mount(source: str, point: str, users: int) -> None:
    tree = _checked(_libc.syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | os.O_CLOEXEC))
    try:
        attributes = _Attributes(set=_MOUNT_ATTR_IDMAP, userns=users)
        size = ctypes.c_size_t(ctypes.sizeof(attributes))
        _checked(_libc.syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size))
        _checked(_libc.syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(point), _MOVE_MOUNT_F_EMPTY_PATH))
    finally:
        os.close(tree)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)
