"""Work directories as they were before a session: copies, so that what a recording made stays as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from kernel_exec.errors import InvalidArgument
from kernel_exec.recording.source import Program

MANY = 20_000
"""Files of a directory that are copied, at the most."""
LARGE = 2**30
"""Bytes of them, at the most."""
_OURS = (".ipynb_checkpoints", "__pycache__", ".git", ".venv", "node_modules")


def copy(source: Path, target: Path, notebook: Path, program: Program) -> None:
    """Copy a work directory as it was before a session: without its recording, and the files that it made.

    Args:
        source: the directory; links in it stay links.
        target: its copy, which is made.
        notebook: the recording.
        program: what that holds.

    Raises:
        InvalidArgument: there is too much in it.
        OSError: it cannot be copied.
    """
    made = {os.path.normpath(path) for path in made_by(program)}
    number = size = 0
    target.mkdir(parents=True)
    for path in _files(source):
        relative = path.relative_to(source)
        if os.path.normpath(relative) in made or path == notebook or _is_picture(path, notebook):
            continue
        number, size = number + 1, size + path.lstat().st_size
        if number > MANY or size > LARGE:
            raise InvalidArgument(
                f"the directory {str(source)!r} has more than {MANY:,} files or {LARGE // 2**20} MiB, too much for a "
                f"copy to run in: name another workdir, or one that may be written to"
            )
        (target / relative.parent).mkdir(parents=True, exist_ok=True)
        _copy(path, target / relative, source)


def _copy(path: Path, target: Path, source: Path) -> None:
    """Copy a file; a link that leads out of the directory leads to the same place from the copy."""
    leads = path.resolve() if path.is_symlink() else None
    if leads is None or leads.is_relative_to(source.resolve()):
        shutil.copy2(path, target, follow_symlinks=False)
    else:
        target.symlink_to(leads)


def made_by(program: Program) -> Iterator[str]:
    """Yield the files that a session made: those of which the first that is told is that they were created."""
    seen: set[str] = set()
    for fact in _artifacts(program):
        path = fact.get("path")
        if isinstance(path, str) and path not in seen:
            seen.add(path)
            if fact.get("change") == "created":
                yield path


def changed_by(program: Program) -> list[str]:
    """Return the files that were there before a session and are not any more as they were then."""
    made = set(made_by(program))
    paths = (fact.get("path") for fact in _artifacts(program))
    return sorted({path for path in paths if isinstance(path, str) and path not in made})


class Reader:
    """Reads files below a directory by their recorded paths, and nothing else.

    Args:
        root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def __call__(self, path: str) -> bytes | None:
        """Return the content of a file; None when there is none of that path."""
        if "\0" in path or PurePosixPath(path).is_absolute():
            return None
        try:
            found = (self._root / path).resolve()
            if not found.is_relative_to(self._root) or not found.is_file():
                return None
            return found.read_bytes()
        except (OSError, RuntimeError):
            return None


def _artifacts(program: Program) -> Iterator[dict[str, object]]:
    for cell in program.cells:
        facts = cell.facts.get("artifacts")
        for fact in facts if isinstance(facts, list) else ():
            if isinstance(fact, dict):
                yield fact


def _is_picture(path: Path, notebook: Path) -> bool:
    """Whether a file was written beside the recording by the recorder; what was `put` is needed again."""
    return path.parent == notebook.with_name(f"{notebook.stem}_files") and not path.name.startswith("put-")


def _files(folder: Path) -> Iterable[Path]:
    for directory, names, files in os.walk(folder):
        names[:] = [name for name in names if name not in _OURS]
        links = [name for name in names if os.path.islink(os.path.join(directory, name))]
        for name in (*files, *links):
            path = Path(directory, name)
            if path.is_symlink() or path.is_file():
                yield path
