"""Where a session lives on disk: its work directory, its notebook, its pictures."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

from kernel_exec.artifacts import Artifacts
from kernel_exec.errors import KernelStartError
from kernel_exec.folder import Folder
from kernel_exec.settings import SessionSettings
from kernel_exec.spill import Spill

_OWN = (".*.kernel_exec", ".ipynb_checkpoints", "__pycache__")
"""Names of files that recordings, notebook editors and Python's imports make beside what a cell does."""


class Home:
    """The paths of one session.

    Args:
        settings: where they are to be.
        file_limit: bytes of the files of one cell that are told, and of each file that keeps what was cut.

    Attributes:
        workdir: the kernel's working directory.
        notebook: the recording, or None.
        pictures: the folder for the pictures that cells display, and for what was cut out of their output.
        own: the notebook, and that folder.
        artifacts: follows what cells do to the files of the work directory.
        cleanup: what is removed when this process ends without closing the session.
        lifetime: seconds that the session may last; None for no bound.
    """

    def __init__(self, settings: SessionSettings, file_limit: int) -> None:
        self.lifetime = settings.lifetime
        self._temporary = settings.workdir is None
        self.workdir = settings.workdir or Path(tempfile.gettempdir()) / f"kernel-exec-{uuid.uuid4().hex[:12]}"
        self.notebook = None if settings.notebook is False else settings.notebook or self.workdir / "session.ipynb"
        home = self.notebook or self.workdir / "session.ipynb"
        self.pictures = Folder(home.with_name(f"{home.stem}_files"), untrusted=self.workdir)
        self.cleanup: list[Path] = [self.workdir] if self._temporary else []
        self._file_limit = file_limit
        self.own = [self.pictures.path, *([self.notebook] if self.notebook else [])]
        self.artifacts = Artifacts(self.workdir, ignored=self.own, patterns=_OWN, limit=file_limit)
        self._number = 0

    @property
    def workdir_from_notebook(self) -> str:
        """The work directory as a relative path from that of the recording."""
        return os.path.relpath(self.workdir, (self.notebook or self.workdir / "x").parent)

    def make(self) -> None:
        """Make the work directory where it is missing.

        Raises:
            KernelStartError: it cannot be made.
        """
        try:
            self.workdir.mkdir(mode=0o700 if self._temporary else 0o777, parents=True, exist_ok=True)
        except OSError as error:
            raise KernelStartError(
                f"the work directory {str(self.workdir)!r} cannot be made ({error.strerror}): name another workdir"
            ) from error

    def spill(self) -> Spill:
        """Return what keeps the output of the next cell that is cut."""
        return Spill(self.pictures, f"cell-{self.next_number()}", self._file_limit)

    def number_after(self, number: int) -> None:
        """Have the numbers of the cells begin behind this one: the recording has cells already."""
        self._number = number

    def next_number(self) -> int:
        """Return the number of the next cell of the session: execution counts start again with a fresh kernel."""
        self._number += 1
        return self._number

    def remove(self) -> None:
        """Remove what is temporary."""
        if self._temporary:
            shutil.rmtree(self.workdir, ignore_errors=True)
