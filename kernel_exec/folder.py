"""Files of ours below a directory where the code of cells may swap whatever lies there, at any moment.

What a path names is only known when it is used, and may be another thing by then. So the way from the directory that is
trusted down to a folder is walked by descriptors, name by name, and no link is followed; what is done then is done to
names in the folder that was reached. No file is opened that somebody else has made, but through `open_regular`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernel_exec.linux import rename_new

MAX_LINKS = 40
"""Links on the way to a file, as the system has it."""
_TRIES = 100
"""How often a name is tried that somebody else takes, or a folder that somebody else swaps."""
_MAX_NAME = 255
_ENTER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Made:
    """A file that was made in a folder, and what tells it from any other of that name."""

    path: Path
    inode: tuple[int, int]


class Folder:
    """A folder that may be gone, or be something else, whenever it is used.

    Args:
        path: where it is.
        untrusted: the directory below which no link is followed; None to follow all.
    """

    def __init__(self, path: Path, untrusted: Path | None = None) -> None:
        self.path = path
        self._untrusted = untrusted

    @functools.cached_property
    def _way(self) -> tuple[Path, tuple[str, ...]]:
        return located(self.path, self._untrusted)

    @contextlib.contextmanager
    def opened(self, *, make: bool = False) -> Iterator[int]:
        """Open it; the value is its descriptor, good for looking up names.

        Args:
            make: make it where it is missing; what lies in its place and is no directory gets another name.

        Raises:
            FileNotFoundError: it is not there.
            NotADirectoryError: a link, or something else that is no directory, lies in its place or on the way to it.
            OSError: it cannot be made or entered.
        """
        trusted, names = self._way
        if make:
            trusted.mkdir(parents=True, exist_ok=True)
        fd = os.open(trusted, _ENTER)
        try:
            for name in names:
                inner = _entered(name, fd, make=make)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def check(self) -> None:
        """Look whether it is there, or can be made without moving anything.

        Raises:
            NotADirectoryError: as for `opened`.
            OSError: it cannot be entered.
        """
        with contextlib.suppress(FileNotFoundError), self.opened():
            pass

    def write(self, pieces: Iterable[bytes | memoryview], stem: str, suffix: str) -> Path:
        """Write a file of that name, or of one with a further number when it is taken; return where it is.

        Raises:
            OSError: it could not be written.
        """
        with self.opened(make=True) as folder:
            name, fd = _create(folder, stem, suffix)
            try:
                with open(fd, "wb") as file:
                    file.writelines(pieces)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)
                raise
        return self.path / name

    def make(self, stem: str, suffix: str) -> Made:
        """Make an empty file, under a name as in `write`.

        Raises:
            OSError: it could not be made.
        """
        with self.opened(make=True) as folder:
            name, fd = _create(folder, stem, suffix)
            try:
                return Made(self.path / name, _inode(fd))
            finally:
                os.close(fd)

    def reopen(self, made: Made, flags: int) -> int:
        """Open a file that was made here once more; return its descriptor.

        Args:
            made: the file.
            flags: of `os.open`.

        Raises:
            OSError: it is gone, or something else has its name.
        """
        with self.opened() as folder:
            found = os.open(made.path.name, _LOOK, dir_fd=folder)
        try:
            if _inode(found) != made.inode:
                raise FileExistsError(errno.EEXIST, "something else has its name", str(made.path))
            return _reopen(found, flags)
        finally:
            os.close(found)


def located(path: Path, untrusted: Path | None) -> tuple[Path, tuple[str, ...]]:
    """Return the last directory on the way to a path that is trusted, without links, and the names from there on.

    Args:
        path: absolute; need not exist. Where it leads elsewhere, no name is left.
        untrusted: the directory below which no link is followed; None to follow all.

    Raises:
        OSError: there are too many links on the way.
    """
    stop = None if untrusted is None else os.path.realpath(untrusted)
    here, rest, links = "/", list(path.absolute().parts[1:]), 0
    while rest:
        below = os.path.normpath("/".join(rest))  # what a link says may lead out again
        if here == stop and not below.startswith(".."):
            return Path(here), () if below == "." else Path(below).parts
        name = rest.pop(0)
        try:
            target = Path(os.readlink(os.path.join(here, name)))
        except OSError:
            here = os.path.normpath(os.path.join(here, name))
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        here, rest = ("/", [*target.parts[1:], *rest]) if target.is_absolute() else (here, [*target.parts, *rest])
    return Path(here), ()


def followed(path: Path, untrusted: Path | None) -> Path:
    """Return where a path leads; arguments and errors as for `located`."""
    trusted, names = located(path, untrusted)
    return trusted.joinpath(*names)


def open_regular(name: str | Path, folder: int | None = None) -> int:
    """Open a file that anybody may have made, for reading; return its descriptor. Waits for nothing.

    Args:
        name: a name in the folder, or a path.
        folder: an open directory.

    Raises:
        IsNoFile: it is a link, a FIFO, a device or anything else but a regular file.
        OSError: it is gone, or cannot be read.
    """
    found = os.open(name, _LOOK, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise IsNoFile(errno.EINVAL, "it is no regular file", str(name))
        return _reopen(found, os.O_RDONLY)
    finally:
        os.close(found)


class IsNoFile(OSError):
    """What should be a file is something else."""


def numbered(name: str) -> Iterator[str]:
    """Return names like one: NAME-1.ipynb, NAME-2.ipynb and so on, in the end ones that nobody can have taken."""
    stem, suffix = os.path.splitext(name)
    for number in itertools.count(1):
        end = os.fsencode(f"-{number if number < _TRIES else uuid.uuid4().hex}{suffix}")
        yield os.fsencode(stem)[: _MAX_NAME - len(end)].decode(errors="ignore") + os.fsdecode(end)


def move_aside(name: str, folder: int) -> str:
    """Give what lies in a folder under a name the first like it that is free; return that.

    Raises:
        OSError: it is gone, or cannot be renamed.
    """
    for other in numbered(name):
        with contextlib.suppress(FileExistsError):
            rename_new(name, other, folder)
            return other
    raise AssertionError("the names are endless")


def _entered(name: str, folder: int, *, make: bool) -> int:
    """Open a directory in a folder."""
    for _ in range(_TRIES):
        try:
            return os.open(name, _ENTER | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            if not make:
                raise
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
        except NotADirectoryError:
            if not make:
                reason = "it is no directory, or a link, which is not followed there"
                raise NotADirectoryError(errno.ENOTDIR, reason, name) from None
            with contextlib.suppress(FileNotFoundError):
                move_aside(name, folder)
    raise OSError(errno.EBUSY, "somebody puts something else in its place all the time", name)


def _create(folder: int, stem: str, suffix: str) -> tuple[str, int]:
    """Make a file under a name that is free; return its name and its descriptor, for writing."""
    for again in itertools.count():
        number = f".{again if again < _TRIES else uuid.uuid4().hex}" if again else ""
        name = f"{stem}{number}{suffix}"
        with contextlib.suppress(FileExistsError):
            return name, os.open(name, _NEW, 0o666, dir_fd=folder)
    raise AssertionError("the names are endless")


def _inode(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _reopen(found: int, flags: int) -> int:
    """Open what was looked at, whatever has its name by now."""
    # Another process may hold a lease on it, and would make us wait.
    return os.open(f"/proc/self/fd/{found}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
