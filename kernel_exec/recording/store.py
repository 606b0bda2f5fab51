"""A notebook as two copies on disk that take turns: one is shown under its name, the other is being written.

The spare copy lies beside the notebook under a hidden name. A change is written over the end of the spare,
synced, and one system call swaps the two names: whoever opens the notebook at any instant, and whoever is
killed then, finds a whole one. The cost is that of the change, not of the notebook.

Two things could spoil this. A reader may still hold the copy that was shown before: a lease on the spare
tells, and then it is left to its reader and a new one made. Somebody else may save the notebook: then what is
found under its name, before or after the swap, is not what we left there; nothing of it is overwritten, the
caller gets to merge it.

That somebody may be the code of a cell, which does with names in its work directory what it likes: every operation
opens the directory anew (see `folder.py`), and is done to names in it that are believed to be nothing they were.
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
from typing import NamedTuple

from kernel_exec import linux
from kernel_exec.folder import Folder, IsNoFile, move_aside, numbered, open_regular
from kernel_exec.recording.document import Kept, Plan

CHUNK = 2**20
"""Bytes copied at once."""
MAX_FOREIGN = 64 * 2**20
"""Size in bytes of the largest foreign save that is read; larger ones are kept aside unread."""
MAX_LOOSE = 16
"""How many copies that others hold open are watched for a late save."""
WRITER_PATIENCE = 2.0
"""Seconds to wait for somebody who is writing the notebook in place."""
_MAX_NAME = 255
_ACCESS = 0o777
"""Permissions that somebody may give to a notebook: it is no program that would run in its owner's name."""


@dataclass(frozen=True)
class System:
    """The calls that not every file system knows."""

    exchange: Callable[[str, str, int], None] = linux.exchange
    alone: Callable[[int], AbstractContextManager[bool]] = linux.alone


class Stamp(NamedTuple):
    """What tells whether a file is still as we left it.

    The last one nobody can set to what he likes. A change of permissions counts, and so does a change of names.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def is_of(self, status: os.stat_result) -> bool:
        """Whether it is that of a file, which may have got another name or other permissions since."""
        return self[:-1] == Stamp.of(status)[:-1]


_NEVER = Stamp(0, 0, -1, 0, 0)


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
        """Whether nobody wrote it since; of one that was removed that is likely, and no more."""
        status = os.fstat(self.fd)
        return Stamp.of(status) == self.left or (status.st_nlink == 0 and self.left.is_of(status))

    def renamed(self) -> None:
        """We gave it another name, or took its name away."""
        status = os.fstat(self.fd)
        if self.left.is_of(status):
            self.left = Stamp.of(status)

    def read(self, part: Kept) -> bytes:
        """Return a part of it."""
        return b"".join(_chunks(self.fd, part))


class Busy(OSError):
    """Somebody is writing the notebook, and does not come to an end."""


class Store:
    """The two copies of one notebook.

    Args:
        folder: where it lies.
        name: its name there.
        system: the calls that not every file system knows.

    All methods raise OSError when the disk or the directory does not do what is asked; the notebook is then
    as it was before.
    """

    def __init__(self, folder: Folder, name: str, system: System) -> None:
        self.name = name
        self.hidden = hidden_name(name)
        self._folder = folder
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
    def removed(self) -> bool:
        """Whether somebody removed the copy that was shown."""
        return self._shown is not None and os.fstat(self._shown.fd).st_nlink == 0

    @property
    def spare(self) -> Copy | None:
        """The copy before that one, as long as it is as we wrote it."""
        return self._spare if self._spare is not None and self._spare.untouched() else None

    def make_room(self) -> None:
        """Make the directory, and move an older file out of the way."""
        with self._folder.opened(make=True) as at:
            status = _status(self.name, at)
            if status is None:
                return
            if not stat.S_ISREG(status.st_mode):
                raise FileExistsError(errno.EEXIST, "there is something that is no file", self.name)
            if status.st_size == 0:
                self._expected = Stamp.of(status)
            else:
                self._move_aside(at)

    def commit(self, plan: Plan) -> bool:
        """Write a change and show it; False, and nothing changed, when somebody else saved first."""
        with self._folder.opened(make=True) as at:
            spare = self._spare
            if spare is None or not self._overwrite(at, spare, plan):
                spare = self._fresh(at, plan)
            shown = False
            try:
                shown = self._show(at, spare)
            finally:
                if not shown and spare is not self._spare:
                    os.close(spare.fd)
        if shown:
            self._turn(spare, plan)
        return shown

    def foreign(self, *, last: bool = False) -> list[bytes]:
        """Return what others saved over the notebook since the last commit, the oldest first.

        The next commit takes its place. What cannot be read as a file is kept beside the notebook.

        Args:
            last: nobody will ask again, so what is being written is returned as it is.

        Raises:
            Busy: somebody is writing it, and did not end within `WRITER_PATIENCE`.
        """
        try:
            with self._folder.opened() as at:
                return self._saves(at, last=last)
        except (FileNotFoundError, NotADirectoryError):  # the directory is gone, and the notebook with it
            return self._saves(None, last=last)

    def keep_aside(self, data: bytes) -> None:
        """Write what somebody else left, and what is no notebook, into a file beside the notebook."""
        with self._folder.opened(make=True) as at:
            for name in numbered(self.name):
                with contextlib.suppress(FileExistsError), open(_new(name, at, os.O_WRONLY), "wb") as file:
                    file.write(data)
                    return

    def close(self) -> None:
        """Remove the spare; idempotent."""
        if self._spare is not None or self._shown is not None:
            with contextlib.suppress(OSError), self._folder.opened() as at:
                os.unlink(self.hidden, dir_fd=at)
        for copy in (self._shown, self._spare, *self._loose):
            if copy is not None:
                os.close(copy.fd)
        self._shown = self._spare = None
        self._loose = []

    def _saves(self, at: int | None, *, last: bool) -> list[bytes]:
        status = None if at is None else _status(self.name, at)
        self._part_with_written(status)
        saves = self._late_saves(0 if last else MAX_LOOSE) if self._loose else []
        if at is None or status is None or Stamp.of(status) == self._expected:
            return saves
        return [*saves, *self._foreign_file(at)]

    def _overwrite(self, at: int, spare: Copy, plan: Plan) -> bool:
        """Write over the spare, unless somebody has it open, wrote it, linked it or removed it."""
        status = _status(self.hidden, at)
        if status is None or Stamp.of(status) != spare.left or status.st_nlink != 1:
            return False
        # Held while we write: who looked the name up before the last swap, and opens it only now, waits.
        with self._system.alone(spare.fd) as alone:
            if alone:
                self._write(spare, plan)
        return alone

    def _fresh(self, at: int, plan: Plan) -> Copy:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.hidden, dir_fd=at)
        except IsADirectoryError:
            move_aside(self.hidden, at)
        copy = Copy(_new(self.hidden, at, os.O_RDWR))
        try:
            self._write(copy, plan)
        except BaseException:
            os.close(copy.fd)
            with contextlib.suppress(OSError):
                os.unlink(self.hidden, dir_fd=at)
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

    def _show(self, at: int, spare: Copy) -> bool:
        """Give the notebook's name to a written copy; False when somebody else's save has it."""
        status = _status(self.name, at)
        if (status is not None and Stamp.of(status) != self._expected) or not self._kept_well():
            return False
        shown = self._show_new(at) if status is None else self._swap(at, spare, status)
        # The hidden name may have been another's when it was given away.
        return shown and _is_under(self.name, at, spare)

    def _show_new(self, at: int) -> bool:
        try:
            linux.rename_new(self.hidden, self.name, at)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def _swap(self, at: int, spare: Copy, shown: os.stat_result) -> bool:
        _same_access(spare.fd, shown)
        try:
            self._system.exchange(self.hidden, self.name, at)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in linux.UNSUPPORTED:
                raise
            os.replace(self.hidden, self.name, src_dir_fd=at, dst_dir_fd=at)
            return True
        before = _status(self.hidden, at)
        if before is None or (self._expected is not None and self._expected.is_of(before)):
            return True
        self._swap_back(at, spare)
        return False

    def _kept_well(self) -> bool:
        """Whether what was copied from the shown notebook had not been written over by somebody else."""
        return self._shown is None or self._shown.untouched()

    def _swap_back(self, at: int, spare: Copy) -> None:
        """Somebody saved in the instant before the swap: theirs is shown again, and merged at leisure."""
        self._system.exchange(self.hidden, self.name, at)
        status = _status(self.hidden, at)
        if status is not None and not spare.left.is_of(status):  # and somebody else in the instant after it
            with contextlib.suppress(FileNotFoundError, IsNoFile):
                self._loose.append(Copy(open_regular(self.hidden, at)))
        spare.renamed()

    def _turn(self, shown: Copy, plan: Plan) -> None:
        """The spare is shown now: the copy that was shown becomes the spare."""
        for copy in (shown, self._spare, self._shown):
            if copy is not None:
                copy.renamed()
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

    def _foreign_file(self, at: int) -> list[bytes]:
        """Read what somebody else put under the notebook's name."""
        try:
            fd = open_regular(self.name, at)
        except FileNotFoundError:
            return []
        except (IsNoFile, PermissionError, BlockingIOError):  # the last: somebody has a lease on it
            self._move_aside(at)
            return []
        theirs = Copy(fd)
        try:
            if os.fstat(fd).st_size <= MAX_FOREIGN and not linux.wait_closed(fd, WRITER_PATIENCE):
                raise Busy(errno.EBUSY, "somebody is writing it and does not come to an end", self.name)
            theirs.left = Stamp.of(os.fstat(fd))
            large = theirs.left.size > MAX_FOREIGN
            data = b"" if large else theirs.read(Kept(0, theirs.left.size))
        finally:
            os.close(fd)
        if large:
            self._move_aside(at)
            return []
        self._expected = theirs.left
        return [data]

    def _move_aside(self, at: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            move_aside(self.name, at)
        self._expected = None


def hidden_name(name: str) -> str:
    """Return the name of the spare copy, which fits wherever the notebook's name fits."""
    hidden = f".{name}.kernel_exec"
    if len(os.fsencode(hidden)) > _MAX_NAME:
        hidden = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.kernel_exec"
    return hidden


def _status(name: str, at: int) -> os.stat_result | None:
    """Return what lies under a name in an open directory; None for nothing."""
    try:
        return os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_under(name: str, at: int, copy: Copy) -> bool:
    status = _status(name, at)
    return status is not None and os.path.samestat(status, os.fstat(copy.fd))


def _new(name: str, at: int, mode: int) -> int:
    return os.open(name, mode | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=at)


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
        os.fchmod(fd, stat.S_IMODE(like.st_mode) & _ACCESS)
