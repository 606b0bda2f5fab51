"""Files below a directory on their way to another one: what has changed since the last time.

A record is RECORD, the path (names with "/" between), and for a file its content in pieces, each with its length
before it, the last one empty; a link has its target in one piece. The record END is the last. Whoever sends tells also
what it does not send, and why. Nobody is trusted: no link is followed on either side, no path leads out.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import struct
import time
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from .mux import CHUNK, Broken

RECORD = struct.Struct(">BIHQ")
"""Kind, mode (or the reason of a refusal), length of the path, time of the last change."""
PIECE = struct.Struct(">I")
FILE, FOLDER, LINK, GONE, REFUSED, END = range(6)

REASONS = (
    "they are symbolic links, which are not followed",
    "they are neither files nor directories",
    "they are beyond the limit",
    "they cannot be read",
    "there are too many",
    "they could not be written",
    "they belong to the recording",
    "they lie too deep",
)
A_LINK, NO_FILE, TOO_LARGE, UNREADABLE, TOO_MANY, UNWRITTEN, NOT_YOURS, TOO_DEEP = range(len(REASONS))
REST = "/..."
"""Stands for what lies in a directory."""
MANY = 50_000
"""Files and directories that are followed."""
PATH = 1024
"""Bytes of a path."""
DEPTH = 64
_TICK = 0.011
"""Seconds within which two changes of a file may carry the same time."""
_FILE_NAME = re.compile(rb"[^/\0]{1,255}")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TooLarge(Exception):
    """A directory holds more than may be sent."""


class Known(NamedTuple):
    """By what a file is known that has not changed."""

    kind: int
    mode: int
    inode: int = 0
    size: int = 0
    modified: int = 0
    changed: int = 0


class Side:
    """A directory, and what the other side is known to have of it.

    Args:
        path: of the directory; a link is followed once, here.
        wanted: whether a path goes from one side to the other at all.
    """

    def __init__(self, path: str, wanted: Callable[[str], bool] = lambda _: True) -> None:
        self.top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.wanted = wanted
        self.known: dict[str, Known] = {}
        self._unseen: tuple[str, ...] = ()

    def forget_content(self) -> None:
        """It is not known any more which files the other side has as they are."""
        self.known = {path: known._replace(changed=0) for path, known in self.known.items()}

    def everything(self, limit: int) -> Iterator[bytes]:
        """Yield the records of what has changed, links as links.

        Args:
            limit: bytes that the directory may hold.

        Raises:
            TooLarge: it holds more; nothing is sent.
        """
        found = self._found()
        size = sum(known.size for known in found.values())
        if size > limit:
            raise TooLarge(f"it holds {size:,} bytes, and the limit is {limit:,}")
        if len(found) > MANY:
            raise TooLarge(f"it holds more than {MANY:,} files")
        yield from self._changes(found, limit, links=True)

    def changes(self, limit: int) -> Iterator[bytes]:
        """Yield the records of what has changed, without links.

        Args:
            limit: bytes of what is sent; what is beyond is refused.
        """
        yield from self._changes(self._found(), limit, links=False)

    def _changes(self, found: dict[str, Known], limit: int, *, links: bool) -> Iterator[bytes]:
        for path in sorted(self.known.keys() - found.keys(), reverse=True):
            if not path.startswith(self._unseen) and self.known.pop(path).kind != REFUSED:
                yield record(GONE, path)
        new = {path: known for path, known in found.items() if self.known.get(path) != known}
        if any(time.time_ns() - known.changed < _TICK * 1e9 for known in new.values()):
            time.sleep(_TICK)  # until the clock has moved on: what is written from now on has another time
        for path in sorted(new):
            before, now = self.known.get(path), new[path]
            self.known[path] = now
            if before is not None and now.kind != before.kind:
                yield record(GONE, path)
            if now.kind == FILE:
                if now.size > limit:
                    yield record(REFUSED, path, TOO_LARGE)
                else:
                    limit -= now.size
                    yield from self._file(path, now)
            elif now.kind == LINK and links:
                yield record(LINK, path) + self._target(path)
            elif now.kind == LINK:
                yield record(REFUSED, path, A_LINK)
            else:
                yield record(now.kind, path, now.mode)
        yield record(END, "")

    def close(self) -> None:
        """Let go of the directory; idempotent."""
        if self.top >= 0:
            os.close(self.top)
            self.top = -1

    def folder_of(self, path: str) -> int:
        """Open the directory that a path is in.

        Raises:
            OSError: it is not there, or there is a link on the way.
        """
        folder = os.open(".", _FOLDER, dir_fd=self.top)
        for name in path.split("/")[:-1]:
            try:
                inner = os.open(name, _FOLDER, dir_fd=folder)
            finally:
                os.close(folder)
            folder = inner
        return folder

    def _found(self) -> dict[str, Known]:
        self._unseen = ()
        found: dict[str, Known] = {}
        for path, known in self._walk(self.top, ""):
            found[path] = known
            if len(found) > MANY:
                found[REST[1:]] = Known(REFUSED, TOO_MANY)
                self._unseen = ("",)
                break
        return found

    def _walk(self, folder: int, above: str) -> Iterator[tuple[str, Known]]:
        """Yield what lies in a directory, from the top down."""
        try:
            with os.scandir(folder) as entries:
                there = [(above + entry.name, entry) for entry in entries if self.wanted(above + entry.name)]
        except OSError:
            yield self._not_seen(above, UNREADABLE)
            return
        for path, entry in there:
            if len(os.fsencode(path)) > PATH - len(REST) or path.count("/") >= DEPTH:
                yield self._not_seen(above, TOO_DEEP)
                return
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                state = entry.stat(follow_symlinks=False)
                yield path, known_as(state)
                if stat.S_ISDIR(state.st_mode):
                    yield from self._enter(entry.name, folder, path + "/")

    def _enter(self, name: str, folder: int, path: str) -> Iterator[tuple[str, Known]]:
        try:
            inner = os.open(name, _FOLDER, dir_fd=folder)
        except PermissionError:
            yield self._not_seen(path, UNREADABLE)
            return
        try:
            yield from self._walk(inner, path)
        finally:
            os.close(inner)

    def _not_seen(self, folder: str, reason: int) -> tuple[str, Known]:
        """What is known of a directory stays as it was."""
        self._unseen += (folder,)
        return folder.rstrip("/") + REST if folder else REST[1:], Known(REFUSED, reason)

    def _file(self, path: str, known: Known) -> Iterator[bytes]:
        try:
            folder = self.folder_of(path)
            try:
                # What is no regular file by now is not waited for.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(os.path.basename(path), flags, dir_fd=folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            return
        except OSError:
            yield record(REFUSED, path, UNREADABLE)
            return
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield record(REFUSED, path, NO_FILE)
                return
            yield record(FILE, path, known.mode, known.modified)
            left = known.size  # one that grows is sent once more later
            while data := _read(file.fileno(), min(left, CHUNK)):
                left -= len(data)
                yield PIECE.pack(len(data)) + data
            yield PIECE.pack(0)

    def _target(self, path: str) -> bytes:
        target = b""
        with contextlib.suppress(OSError):
            folder = self.folder_of(path)
            try:
                target = os.fsencode(os.readlink(os.path.basename(path), dir_fd=folder))
            finally:
                os.close(folder)
        return PIECE.pack(len(target)) + target


class Receiver:
    """Writes what comes into a directory, each file under its name only when it is whole.

    Args:
        side: the directory.
        limit: bytes that all files together may have.
        links: whether links are made.

    Attributes:
        refused: what was not sent or not written, by reason, the first few of each.
        count: how many there are of each.
    """

    def __init__(self, side: Side, limit: int, *, links: bool) -> None:
        self._side, self._limit, self._links = side, limit, links
        self._received = bytearray()
        self._steps = self._take()
        self._need = next(self._steps)
        self.refused: dict[int, list[str]] = {}
        self.count: dict[int, int] = {}
        self.error = ""

    def feed(self, data: bytes) -> None:
        """Take what has come.

        Raises:
            Broken: it is nothing that one of us sends.
        """
        if self.done:
            raise Broken("files behind the last one")
        self._received += data
        start = 0
        while 0 <= self._need <= len(self._received) - start:
            with memoryview(self._received) as received:
                piece = bytes(received[start : start + self._need])
            start += self._need
            self._need = self._steps.send(piece)
        del self._received[:start]

    @property
    def done(self) -> bool:
        """Whether the last record has come."""
        return self._need < 0

    def close(self) -> None:
        """No more comes: what is not whole goes."""
        self._steps.close()

    def _take(self) -> Generator[int, bytes, None]:
        for _ in range(4 * MANY):
            kind, mode, length, modified = RECORD.unpack((yield RECORD.size))
            path = _checked((yield length)) if kind != END else ""
            if kind == END:
                yield -1
            elif kind == REFUSED:
                if mode >= len(REASONS):
                    raise Broken("a refusal without a reason")
                self._refuse(path, mode)
            elif kind == FILE:
                yield from self._take_file(path, mode, modified)
            elif kind == LINK and self._links:
                target = yield _length((yield PIECE.size))
                self._do(path, lambda name, folder, target=target: _link(target, name, folder))  # type: ignore[misc]
            elif kind == FOLDER:
                self._do(path, _make)
            elif kind == GONE:
                self._do(path, _remove)
            else:
                raise Broken(f"a record of kind {kind}")
        raise Broken("more files than are sent")

    def _take_file(self, path: str, mode: int, modified: int) -> Generator[int, bytes, None]:
        """Write a file that is not there yet; what cannot be written is read all the same."""
        temporary = f".{os.urandom(8).hex()}.kernel_exec"
        folder = file = -1
        try:
            try:
                self._check(path)
                folder = self._side.folder_of(path)
                file = os.open(temporary, _NEW, 0o600, dir_fd=folder)
            except OSError as error:
                self._fail(path, error)
            while length := _length((yield PIECE.size)):
                self._limit -= length
                if self._limit < 0:
                    raise Broken("more bytes than are allowed")
                data = yield length
                if file >= 0:
                    try:
                        _write(file, data)
                    except OSError as error:
                        self._fail(path, error)
                        os.close(file)
                        file = -1
            if file >= 0:
                try:
                    os.fchmod(file, stat.S_IMODE(mode) & 0o777)
                    os.utime(file, ns=(modified, modified))
                    os.rename(temporary, os.path.basename(path), src_dir_fd=folder, dst_dir_fd=folder)
                    self._side.known[path] = known_as(os.fstat(file))
                except (OSError, OverflowError) as error:
                    self._fail(path, error)
        finally:
            if file >= 0:
                os.close(file)
            if folder >= 0:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                os.close(folder)

    def _do(self, path: str, what: Callable[[str, int], None]) -> None:
        """Do something to a name in its directory."""
        try:
            self._check(path)
            folder = self._side.folder_of(path)
            try:
                what(os.path.basename(path), folder)
                try:
                    self._side.known[path] = known_as(
                        os.stat(os.path.basename(path), dir_fd=folder, follow_symlinks=False)
                    )
                except FileNotFoundError:
                    self._side.known.pop(path, None)
            finally:
                os.close(folder)
        except OSError as error:
            self._fail(path, error)

    def _check(self, path: str) -> None:
        if not self._side.wanted(path):
            raise PermissionError(0, "")
        if len(self._side.known) > MANY and path not in self._side.known:
            raise OSError(errno.ENOSPC, "there are too many files")

    def _fail(self, path: str, error: Exception) -> None:
        self._refuse(path, UNWRITTEN if getattr(error, "errno", 1) else NOT_YOURS)
        self.error = self.error or f"{path}: {getattr(error, 'strerror', None) or error}"

    def _refuse(self, path: str, reason: int) -> None:
        self.count[reason] = self.count.get(reason, 0) + 1
        names = self.refused.setdefault(reason, [])
        if len(names) < 5:
            names.append(path)


def record(kind: int, path: str, mode: int = 0, modified: int = 0) -> bytes:
    """Return a record without content."""
    name = os.fsencode(path)
    return RECORD.pack(kind, mode, len(name), max(0, modified)) + name


def known_as(state: os.stat_result) -> Known:
    """Return by what a file is known."""
    mode = stat.S_IMODE(state.st_mode)
    if stat.S_ISDIR(state.st_mode):
        return Known(FOLDER, mode)
    if not stat.S_ISREG(state.st_mode) and not stat.S_ISLNK(state.st_mode):
        return Known(REFUSED, NO_FILE, state.st_ino)
    kind = FILE if stat.S_ISREG(state.st_mode) else LINK
    return Known(kind, mode, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _checked(path: bytes) -> str:
    """Return a path that leads to something below the directory.

    Raises:
        Broken: it does not.
    """
    names = path.split(b"/")
    if (
        len(path) > PATH
        or len(names) > DEPTH + 1
        or not all(_FILE_NAME.fullmatch(name) and name not in (b".", b"..") for name in names)
    ):
        raise Broken("a path that leads elsewhere")
    return os.fsdecode(path)


def _length(data: bytes) -> int:
    length = int(PIECE.unpack(data)[0])
    if length > CHUNK:
        raise Broken(f"a piece of {length} bytes")
    return length


def _read(file: int, most: int) -> bytes:
    try:
        return os.read(file, most)
    except OSError:
        return b""


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _make(name: str, folder: int) -> None:
    try:
        os.mkdir(name, 0o777, dir_fd=folder)
    except FileExistsError:
        os.close(os.open(name, _FOLDER, dir_fd=folder))


def _link(target: bytes, name: str, folder: int) -> None:
    _remove(name, folder)
    os.symlink(target, name, dir_fd=folder)


def _remove(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
