"""Writes a session down as a notebook that is valid on disk at every instant."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kernel_exec.errors import RecordingError
from kernel_exec.folder import Folder, followed
from kernel_exec.linux import NameLock, is_locked
from kernel_exec.recording.cells import Cell
from kernel_exec.recording.document import Document, Kept
from kernel_exec.recording.foreign import parsed, read_notebook
from kernel_exec.recording.merge import NOTEBOOK_KEYS, added, merge, with_additions
from kernel_exec.recording.store import Copy, Store, System

_ATTEMPTS = 20
_LINUX = System()


class Recorder:
    """The notebook of one session; for one thread at a time.

    Args:
        path: the notebook; a symbolic link is followed. What an older file there holds is kept beside it.
        untrusted: a directory below which no link is followed, as code may have put it there.
        on_hidden: told of the hidden file before it is made, so that somebody can clean it up.
        system: calls that not every file system knows; without them each write copies the notebook.
    """

    def __init__(
        self,
        path: Path,
        *,
        untrusted: Path | None = None,
        on_hidden: Callable[[Path], None] = lambda path: None,
        system: System = _LINUX,
    ) -> None:
        self.path = Path(os.path.abspath(path))
        self._untrusted = untrusted
        self._on_hidden = on_hidden
        self._system = system
        self._store: Store | None = None
        self._lock: NameLock | None = None
        self._document = Document()
        self._metadata: Mapping[str, Any] = {}
        self._pending: dict[str, Cell] = {}
        self._recent: dict[str, Cell] = {}  # what the spare copy lacks
        self._additions: dict[str, dict[str, Any]] = {}  # to metadata of cells, by others
        self._foreign_metadata: dict[str, Any] = {}
        self._dormant = False  # nothing is to be written before there is a cell

    def open(self, metadata: Mapping[str, Any]) -> None:
        """Begin the notebook.

        Args:
            metadata: of the notebook: kernelspec, language_info and what else is known.

        Raises:
            RecordingError: it cannot be written there, or is being recorded by somebody else.
        """
        self._metadata = metadata
        try:
            target = followed(self.path, self._untrusted)
            folder = Folder(target.parent, self._untrusted)
            folder.check()
            self._lock = _locked(folder, target.name)
            self._store = Store(folder, target.name, self._system)
            self._store.make_room()
            self._on_hidden(target.with_name(self._store.hidden))
            plan = self._document.whole((), metadata)
            if not self._store.commit(plan):
                raise FileExistsError(errno.EEXIST, "somebody else began to write it", target.name)
            self._document.apply(plan)
        except OSError as error:
            self._release()
            raise RecordingError(f"The recording {self.path} cannot be written: {_reason(error)}") from error

    def resume(self, metadata: Mapping[str, Any]) -> None:
        """Go on in the notebook that is there, which stays as it is until there is a cell to write.

        Args:
            metadata: of the notebook from then on.

        Raises:
            RecordingError: it is being recorded by somebody else, or cannot be taken in.
        """
        self._metadata, self._dormant = metadata, True
        try:
            target = followed(self.path, self._untrusted)
            folder = Folder(target.parent, self._untrusted)
            folder.check()
            self._lock = _locked(folder, target.name)
            self._store = Store(folder, target.name, self._system)
            found = [read_notebook(data, ()) for data in self._store.foreign()]
            if not found or found[0] is None:
                raise OSError(errno.EINVAL, "it is no notebook of format 4, or too large to go on in", target.name)
            self._recent = {cell["id"]: cell for cell in merge((), found[0]["cells"]).cells}
            self._foreign_metadata = added(metadata, found[0]["metadata"], NOTEBOOK_KEYS)
            self._on_hidden(target.with_name(self._store.hidden))
        except OSError as error:
            self._release()
            raise RecordingError(f"The recording {self.path} cannot be gone on with: {_reason(error)}") from error

    def keep(self, cell: Cell) -> None:
        """Have a cell written before the next one."""
        self._pending[cell["id"]] = cell

    def set_metadata(self, metadata: Mapping[str, Any]) -> None:
        """Change the notebook's metadata.

        Raises:
            RecordingError: it could not be written; the next write tries again.
        """
        self._metadata = metadata
        self._flush()

    def write(self, cell: Cell) -> None:
        """Append a cell, or replace the one with its id; on disk when this returns.

        Raises:
            RecordingError: it could not be written; it is kept, and the next write tries again.
        """
        self._pending[cell["id"]] = cell
        self._dormant = False
        self._flush()

    def close(self) -> None:
        """Write what is pending and let go of the notebook; idempotent.

        Raises:
            RecordingError: cells could not be written; the message says where the session was saved instead.
        """
        if self._store is None:
            return
        try:
            self._flush(last=True)
        except RecordingError as error:
            if self._pending:
                raise RecordingError(f"{error} {self._rescue()}") from error
            raise
        finally:
            self._release()

    def cells(self) -> list[Cell]:
        """Return all cells as they are on disk, as far as nobody else wrote over them."""
        if self._store is None:
            return []
        shown = _cells_in(self._store.shown)
        if shown is not None:
            return shown
        # The shown copy was written over in place: the one before it, and what came since.
        before = {cell["id"]: cell for cell in _cells_in(self._store.spare) or ()}
        return list({**before, **self._recent}.values())

    def _flush(self, *, last: bool = False) -> None:
        if self._store is None:
            raise RecordingError(f"The recording {self.path} is closed; record into a new one.")
        if self._dormant:
            return
        try:
            for _ in range(_ATTEMPTS):
                if self._merge_foreign(self._store, last=last) and self._write_pending(self._store):
                    return
        except OSError as error:
            raise self._unwritten(_reason(error)) from error
        raise self._unwritten("others save it all the time.")

    def _unwritten(self, reason: str) -> RecordingError:
        return RecordingError(f"The recording {self.path} cannot be written now: {reason}")

    @property
    def _all_metadata(self) -> dict[str, Any]:
        return {**self._foreign_metadata, **self._metadata}

    @property
    def _is_due(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._pending) or self._all_metadata != self._document.metadata

    def _write_pending(self, store: Store) -> bool:
        add = self._additions
        cells = {key: with_additions(cell, add.get(key, {})) for key, cell in self._pending.items()}
        if not self._is_due:
            return True
        plan = self._document.plan(cells.values(), self._all_metadata)
        if not store.commit(plan):
            return False
        self._document.apply(plan)
        self._recent = cells
        self._pending = {}
        return True

    def _merge_foreign(self, store: Store, *, last: bool) -> bool:
        """Take in what others saved meanwhile; False when they saved again meanwhile."""
        saves = store.foreign(last=last)
        if not saves and store.shown is not None and not (store.removed and self._is_due):
            return True
        cells = self.cells()
        additions, metadata = dict(self._additions), dict(self._foreign_metadata)
        for data in saves:
            notebook = read_notebook(data, cells)
            if notebook is None:
                if data.strip():
                    store.keep_aside(data)
                continue
            merged = merge(cells, notebook["cells"])
            cells = merged.cells
            for cell_id, added_here in merged.additions.items():
                additions[cell_id] = {**additions.get(cell_id, {}), **added_here}
            metadata.update(added(self._metadata, notebook["metadata"], NOTEBOOK_KEYS))
        plan = self._document.whole(cells, {**metadata, **self._metadata})
        self._recent = {cell["id"]: cell for cell in cells}
        self._additions, self._foreign_metadata = additions, metadata
        if not store.commit(plan):
            return False
        self._document.apply(plan)
        return True

    def _rescue(self) -> str:
        """Save the whole session elsewhere; return a sentence that says where."""
        cells = {cell["id"]: cell for cell in self.cells()}
        plan = Document().whole({**cells, **self._pending}.values(), self._metadata)
        try:
            fd, name = tempfile.mkstemp(prefix=f"{self.path.stem[:60]}-rescued-", suffix=".ipynb")
            with open(fd, "wb") as file:
                file.writelines(piece for piece in plan.pieces if isinstance(piece, bytes))
        except OSError as error:
            count, place = len(self._pending), tempfile.gettempdir()
            return f"Its last {count} cell(s) are lost, as {place} cannot be written either: {error}."
        return f"The whole session was saved as {name} instead."

    def _release(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def is_recorded(path: Path) -> bool:
    """Whether somebody on this machine, of this user or the file's, records into a notebook now."""
    try:
        target = followed(Path(os.path.abspath(path)), None)
        directory, users = os.stat(target.parent), {os.getuid(), os.stat(target).st_uid}
    except OSError:
        return False
    return any(is_locked(_lock_name(directory, target.name, user)) for user in users)


def _lock_name(directory: os.stat_result, name: str, user: int) -> str:
    hashed = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f"kernel_exec-{user}-{directory.st_dev}-{directory.st_ino}-{hashed}"


def _locked(folder: Folder, name: str) -> NameLock:
    """Lock the name of a notebook, by whichever way its directory is reached."""
    with folder.opened(make=True) as at:
        directory = os.fstat(at)
    try:
        return NameLock(_lock_name(directory, name, os.getuid()))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        reason = "another executor records into it; give each its own notebook"
        raise OSError(errno.EADDRINUSE, reason, name) from error


def _cells_in(copy: Copy | None) -> list[Cell] | None:
    """Return the cells in a copy of ours; None when it is none, half written, or forged so that it looks untouched."""
    notebook = parsed(copy.read(Kept(0, copy.left.size)), ()) if copy is not None else None
    return None if notebook is None else notebook["cells"]


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{place}."
    return f"{error}."
