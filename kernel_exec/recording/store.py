"""A notebook as two copies on disk that take turns: one is shown under its name, the other is being written.

The spare copy lies beside the notebook under a hidden name. A change is written over the end of the spare,
synced, and one system call swaps the two names: whoever opens the notebook at any instant, and whoever is
killed then, finds a whole one. The cost is that of the change, not of the notebook.

Two things could spoil this. A reader may still hold the copy that was shown before: a lease on the spare
tells, and then it is left to its reader and a new one made. Somebody else may save the notebook: then what is
found under its name, before or after the swap, is not what we left there; nothing of it is overwritten, the
caller gets to merge it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kernel_exec.recording import linux
from kernel_exec.recording.document import Kept, Plan

CHUNK = 2**20
"""Bytes copied at once."""
MAX_FOREIGN = 256 * 2**20
"""Size in bytes of the largest foreign save that is read; larger ones are kept aside unread."""
MAX_LOOSE = 16
"""How many copies that others hold open are watched for a late save."""
WRITER_PATIENCE = 2.0
"""Seconds to wait for somebody who is writing the notebook in place."""
_MAX_NAME = 255


@dataclass(frozen=True)
class System:
    """The calls that not every file system knows."""

    exchange: Callable[[Path, Path], None] = linux.exchange
    rename_new: Callable[[Path, Path], None] = linux.rename_new
    alone: Callable[[int], AbstractContextManager[bool]] = linux.alone


class Stamp(NamedTuple):
    """What tells whether a file is still as we left it."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


_NEVER = Stamp(0, 0, -1, 0)


@dataclass(slots=True)
class Copy:
    """One file of ours.

    Attributes:
        fd: open for reading and writing.
        left: its stamp when we wrote it last.
        same: how many of its first bytes are those of the notebook as it is shown.
    """

    fd: int
    left: Stamp = _NEVER
    same: int = 0

    def untouched(self) -> bool:
        """Whether nobody wrote it since."""
        return Stamp.of(os.fstat(self.fd)) == self.left

    def read(self, part: Kept) -> bytes:
        """Return a part of it."""
        return b"".join(_chunks(self.fd, part))


class Busy(OSError):
    """Somebody is writing the notebook, and does not come to an end."""


class Store:
    """The two copies of one notebook.

    Args:
        path: the notebook; no symbolic link.
        on_hidden: told of the spare's name before the spare is made.
        system: the calls that not every file system knows.

    All methods raise OSError when the disk or the directory does not do what is asked; the notebook is then
    as it was before.
    """

    def __init__(self, path: Path, on_hidden: Callable[[Path], None], system: System) -> None:
        self.path = path
        self.hidden = hidden_path(path)
        self._on_hidden = on_hidden
        self._system = system
        self._expected: Stamp | None = None  # what lies under the name; None: nothing
        self._shown: Copy | None = None
        self._spare: Copy | None = None
        self._loose: list[Copy] = []

    @property
    def shown(self) -> Copy | None:
        """The copy under the notebook's name, as long as it is as we wrote it."""
        return self._shown if self._shown is not None and self._shown.untouched() else None

    @property
    def spare(self) -> Copy | None:
        """The copy before that one, as long as it is as we wrote it."""
        return self._spare if self._spare is not None and self._spare.untouched() else None

    def make_room(self) -> Path | None:
        """Make the directory, and move an older file out of the way; return where it is now."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise FileExistsError(errno.EEXIST, "there is something that is no file", str(self.path))
        if status.st_size == 0:
            self._expected = Stamp.of(status)
            return None
        return self._move_aside()

    def commit(self, plan: Plan) -> bool:
        """Write a change and show it; False, and nothing changed, when somebody else saved first."""
        spare = self._spare
        if spare is None or not self._overwrite(spare, plan):
            spare = self._fresh(plan)
        if not self._show(spare):
            if spare is not self._spare:
                os.close(spare.fd)
            return False
        self._turn(spare, plan)
        return True

    def foreign(self, *, last: bool = False) -> list[bytes]:
        """Return what others saved over the notebook since the last commit, the oldest first.

        The next commit takes its place. What cannot be read as a file is kept beside the notebook.

        Args:
            last: nobody will ask again, so what is being written is returned as it is.

        Raises:
            Busy: somebody is writing it, and did not end within `WRITER_PATIENCE`.
        """
        status = self._look()
        self._part_with_written(status)
        saves = self._late_saves(0 if last else MAX_LOOSE) if self._loose else []
        if status is None or Stamp.of(status) == self._expected:
            return saves
        return [*saves, *self._foreign_file(status)]

    def keep_aside(self, data: bytes) -> Path:
        """Write what somebody else left, and what is no notebook, into a file beside the notebook."""
        for path in numbered(self.path):
            with contextlib.suppress(FileExistsError), path.open("xb") as file:
                file.write(data)
                return path
        raise AssertionError("the numbers are endless")

    def close(self) -> None:
        """Remove the spare; idempotent."""
        if self._spare is not None or self._shown is not None:
            with contextlib.suppress(OSError):
                self.hidden.unlink()
        for copy in (self._shown, self._spare, *self._loose):
            if copy is not None:
                os.close(copy.fd)
        self._shown = self._spare = None
        self._loose = []

    def _look(self) -> os.stat_result | None:
        try:
            return self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _overwrite(self, spare: Copy, plan: Plan) -> bool:
        """Write over the spare, unless somebody has it open, wrote it, linked it or removed it."""
        try:
            status = self.hidden.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if Stamp.of(status) != spare.left or status.st_nlink != 1:
            return False
        # Held while we write: who looked the name up before the last swap, and opens it only now, waits.
        with self._system.alone(spare.fd) as alone:
            if alone:
                self._write(spare, plan)
        return alone

    def _fresh(self, plan: Plan) -> Copy:
        self._on_hidden(self.hidden)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.hidden.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        copy = Copy(os.open(self.hidden, flags, 0o666))
        try:
            self._write(copy, plan)
        except BaseException:
            os.close(copy.fd)
            with contextlib.suppress(OSError):
                self.hidden.unlink()
            raise
        return copy

    def _write(self, copy: Copy, plan: Plan) -> None:
        start = min(copy.same, plan.at)
        copy.same, copy.left = start, _NEVER  # in doubt until all is written
        try:
            at = self._put(copy, start, Kept(start, plan.at))
            for piece in plan.pieces:
                at = self._put(copy, at, piece)
            if os.fstat(copy.fd).st_size != at:
                os.ftruncate(copy.fd, at)
            os.fdatasync(copy.fd)
        finally:
            copy.left = Stamp.of(os.fstat(copy.fd))

    def _put(self, copy: Copy, at: int, piece: Kept | bytes) -> int:
        """Write a piece; return where it ends."""
        chunks = iter((piece,)) if isinstance(piece, bytes) else self._moved(piece)
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.pwrite(copy.fd, view, at)
                view, at = view[written:], at + written
        return at

    def _moved(self, piece: Kept) -> Iterator[bytes]:
        if piece.size and self._shown is None:
            raise AssertionError("nothing is shown that could be kept")
        return _chunks(self._shown.fd, piece) if self._shown is not None else iter(())

    def _show(self, spare: Copy) -> bool:
        """Give the notebook's name to a written copy; False when somebody else's save has it."""
        status = self._look()
        if status is None:
            return self._show_new()
        if Stamp.of(status) != self._expected or not self._kept_well():
            return False
        _same_access(spare.fd, status)
        try:
            self._system.exchange(self.hidden, self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in linux.UNSUPPORTED:
                raise
            os.replace(self.hidden, self.path)
            return True
        return Stamp.of(self.hidden.lstat()) == self._expected or self._swap_back(spare)

    def _show_new(self) -> bool:
        if not self._kept_well():
            return False
        try:
            self._system.rename_new(self.hidden, self.path)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def _kept_well(self) -> bool:
        """Whether what was copied from the shown notebook had not been written over by somebody else."""
        return self._shown is None or self._shown.untouched()

    def _swap_back(self, spare: Copy) -> bool:
        """Somebody saved in the instant before the swap: theirs is shown again, and merged at leisure."""
        self._system.exchange(self.hidden, self.path)
        if Stamp.of(self.hidden.lstat()) != spare.left:  # and somebody else in the instant after it
            self._loose.append(Copy(os.open(self.hidden, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)))
        return False

    def _turn(self, shown: Copy, plan: Plan) -> None:
        """The spare is shown now: the copy that was shown becomes the spare."""
        if shown is not self._spare and self._spare is not None:
            self._loose.append(self._spare)  # whoever has it open may be about to save
        self._spare, self._shown = self._shown, shown
        self._expected = shown.left
        shown.same = plan.size
        if self._spare is not None:
            self._spare.same = min(self._spare.same, plan.at)

    def _part_with_written(self, status: os.stat_result | None) -> None:
        """Give up copies that somebody else has written, so that they are read as theirs."""
        if self._spare is not None and not self._spare.untouched():
            self._loose.append(self._spare)
            self._spare = None
        if self._shown is not None and not self._shown.untouched():
            if status is not None and status.st_ino == self._shown.left.inode:
                # It is read under its name. While we hold it for writing nobody can tell who else does.
                os.close(self._shown.fd)
            else:
                self._loose.append(self._shown)
            self._shown = None

    def _late_saves(self, room: int) -> list[bytes]:
        """Return what was written into copies that we left; keep watching at most `room` that others hold."""
        saves: list[bytes] = []
        kept: list[Copy] = []
        for copy in self._loose:
            with self._system.alone(copy.fd) as alone:
                done = alone or len(self._loose) - len(saves) > room
                if done and not copy.untouched():
                    saves.append(copy.read(Kept(0, MAX_FOREIGN)))
            if done:
                os.close(copy.fd)
            else:
                kept.append(copy)
        self._loose = kept
        return saves

    def _foreign_file(self, status: os.stat_result) -> list[bytes]:
        """Read what somebody else put under the notebook's name."""
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FOREIGN:
            self._move_aside()
            return []
        fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        theirs = Copy(fd)
        try:
            if not linux.wait_closed(self.path, fd, WRITER_PATIENCE):
                raise Busy(errno.EBUSY, "somebody is writing it and does not come to an end", str(self.path))
            theirs.left = Stamp.of(os.fstat(fd))
            data = theirs.read(Kept(0, theirs.left.size))
        finally:
            os.close(fd)
        self._expected = theirs.left
        return [data]

    def _move_aside(self) -> Path:
        for path in numbered(self.path):
            with contextlib.suppress(FileExistsError):
                self._system.rename_new(self.path, path)
                self._expected = None
                return path
        raise AssertionError("the numbers are endless")


def hidden_path(path: Path) -> Path:
    """Return the name of the spare copy, which fits wherever the notebook's name fits."""
    name = f".{path.name}.kernel_exec"
    if len(os.fsencode(name)) > _MAX_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.kernel_exec"
    return path.with_name(name)


def numbered(path: Path) -> Iterator[Path]:
    """Return names beside a file: NAME-1.ipynb, NAME-2.ipynb and so on, without end."""
    number = 0
    while True:
        number += 1
        end = os.fsencode(f"-{number}{path.suffix}")
        stem = os.fsencode(path.stem)[: _MAX_NAME - len(end)].decode(errors="ignore")
        yield path.with_name(stem + os.fsdecode(end))


def _chunks(fd: int, part: Kept) -> Iterator[bytes]:
    at = part.start
    while at < part.stop:
        chunk = os.pread(fd, min(CHUNK, part.stop - at), at)
        if not chunk:
            return
        yield chunk
        at += len(chunk)


def _same_access(fd: int, like: os.stat_result) -> None:
    """Give a file the permissions and the owner that somebody gave to the notebook."""
    status = os.fstat(fd)
    if (status.st_uid, status.st_gid) != (like.st_uid, like.st_gid):
        with contextlib.suppress(PermissionError):  # only root may give files away
            os.fchown(fd, like.st_uid, like.st_gid)
    if status.st_mode != like.st_mode:
        os.fchmod(fd, stat.S_IMODE(like.st_mode))
