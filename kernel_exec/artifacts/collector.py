"""The files that each cell created, changed or deleted below the work directory.

Decides what is told of the places where something has changed, see `tree.py`; reads content, see `content.py`.
"""

from __future__ import annotations

import mimetypes
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from kernel_exec.artifacts.content import hash_of
from kernel_exec.artifacts.refusals import KINDS, Refusals
from kernel_exec.artifacts.signatures import (
    Signature,
    changed_at,
    identity,
    inode_of,
    is_file,
    kind_of,
    names_of,
    same_content,
    size_of,
)
from kernel_exec.artifacts.tree import MAX_ENTRIES, Journal, Place, TooMany, Tree
from kernel_exec.results import Artifact, Change

MAX_REPORTED = 20_000
"""Files that are told of one cell."""
TRIES = 3
"""Times that a file is read that somebody is changing."""
CLOCK_STEP = 20_000_000
"""Nanoseconds within which two changes of a file may carry the same time."""

_TYPES = mimetypes.MimeTypes()  # without the system's tables: the same name is the same type everywhere
for _suffix, _type in {
    ".ipynb": "application/x-ipynb+json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".webp": "image/webp",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TYPES.add_type(_type, _suffix)
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


@dataclass(frozen=True, slots=True)
class Collected:
    """What one cell did to files.

    Attributes:
        artifacts: the files, by path.
        notes: what was refused and why, a sentence for each reason.
    """

    artifacts: list[Artifact]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Told:
    place: Place
    change: Change
    size: int = 0
    sha256: str = ""


class Artifacts:
    """Follows the files below a directory from cell to cell. No file is changed, no link followed.

    What `chmod` or `touch` did to a file counts as a change, unless its content is known from an earlier cell and
    still the same. A file that came and went within a cell is not told.

    Args:
        folder: the work directory.
        ignored: files and folders that are the recording's own.
        patterns: names that are left out wherever they are, with the wildcards of `fnmatch`.
        limit: bytes of the files of one cell that are told.
        events: whether to use the file system's events where there are any; the answers are the same without.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ignored: Iterable[Path] = (),
        patterns: Sequence[str] = (),
        limit: int,
        events: bool = True,
    ) -> None:
        self._folder = folder
        self._limit = limit
        self._tree = Tree(folder, ignored, patterns, events=events)
        self._known: dict[Place, str] = {}  # hashes of what was told
        self._recent: set[Place] = set()  # what may have changed since without another time
        self._accepted: dict[Place, Signature] = {}  # what somebody else has put there since

    def ignore(self, path: Path) -> None:
        """Leave out one more file or folder, which does not exist yet."""
        self._tree.ignore(path)

    def accept(self, files: Mapping[Place, Signature]) -> None:
        """Take files for what lay there before the cell: it is not the cell that has put them there."""
        self._accepted.update(files)

    def start(self) -> None:
        """Take the state before the first cell."""
        with suppress(TooMany):  # `collect` tells it
            self._tree.look()

    def collect(self, cell_id: str) -> Collected:
        """Return what has changed since the last call, or since `start`.

        Args:
            cell_id: id of the cell in the recording.
        """
        try:
            return self._collected(cell_id)
        except TooMany:
            note = f"the work directory holds more than {MAX_ENTRIES} files: artifacts are not told"
            return Collected([], (note,))

    def close(self) -> None:
        """Let go of all descriptors; idempotent."""
        self._tree.close()

    def _artifact(self, told: _Told, cell_id: str) -> Artifact:
        path = self._folder.joinpath(*told.place)
        return Artifact(path, told.change, told.size, mime_of(told.place[-1]), told.sha256, cell_id)

    def _collected(self, cell_id: str) -> Collected:
        this = _Round(self._tree, self._changes(), self._known, self._limit)
        for path in self._tree.unreadable:
            this.refusals.add("they are directories that cannot be read", path)
        changes = sorted(this.changes(), key=attrgetter("place"))
        self._recent = this.recent
        return Collected([self._artifact(told, cell_id) for told in changes], this.refusals.notes())

    def _changes(self) -> Journal:
        journal = self._tree.update()
        for place, accepted in self._accepted.items():
            self._known.pop(place, None)
            self._recent.discard(place)
            if place in journal:
                journal[place] = (accepted, journal[place][1])
        self._accepted.clear()
        for place in self._recent.difference(journal):
            found = self._tree.signature_at(place)
            journal[place] = (found, found)
        return journal


class _Round:
    """One collection: what is told, within its bounds, and what is refused."""

    def __init__(self, tree: Tree, journal: Journal, known: dict[Place, str], limit: int) -> None:
        self._tree = tree
        self._journal = journal
        self._known = known
        self._limit = limit
        self._left = limit
        self._places = tree.places_of(_linked(journal))
        self.recent: set[Place] = set()
        self.refusals = Refusals()

    def changes(self) -> Iterator[_Told]:
        """Judge every place where something has changed."""
        told = 0
        with _Reader(self._tree) as reader:
            for place in self._places_in_order():
                known = self._known.pop(place, None)
                if told == MAX_REPORTED:
                    self.refusals.add(f"no more than {MAX_REPORTED} are told of one cell", place)
                elif (change := self._judge(place, known, reader)) is not None:
                    told += 1
                    yield change

    def _places_in_order(self) -> Iterator[Place]:
        """Every place of the journal; also those that come in while it is read."""
        done: set[Place] = set()
        while waiting := sorted(self._journal.keys() - done):
            done.update(waiting)
            yield from waiting

    def _judge(self, place: Place, known: str | None, reader: _Reader) -> _Told | None:
        for _ in range(TRIES):
            before, now = self._journal[place]
            if now is None or not is_file(now):
                return self._without_file(place, before, now)
            if before is not None and known is None and same_content(before, now):
                return None
            if reason := self._reason_against(now):
                self.refusals.add(reason, place)
                return None
            try:
                sha256 = reader.hash_of(place, now)
            except OSError as error:
                self.refusals.add(f"they cannot be read ({error.strerror})", place)
                return None
            if sha256 is not None:
                return self._with_content(place, now, sha256, known)
            self._tree.look_again(place)
        self.refusals.add("they went on changing while they were read", place)
        return None

    def _without_file(self, place: Place, before: Signature | None, now: Signature | None) -> _Told | None:
        if now is not None and (before is None or identity(now) != identity(before)):
            self.refusals.add(KINDS[kind_of(now)], place)
        return _Told(place, "deleted") if is_file(before) else None

    def _reason_against(self, now: Signature) -> str:
        """Return why a file is not read; "" when it is."""
        if names_of(now) > max(1, len(self._places.get(inode_of(now), ()))):
            return "they are hard links to files from elsewhere"
        if size_of(now) > self._left:
            return f"they are beyond the limit of {self._limit} bytes (limits.artifact_bytes)"
        return ""

    def _with_content(self, place: Place, now: Signature, sha256: str, known: str | None) -> _Told | None:
        before, _ = self._journal[place]
        self._known[place] = sha256
        if time.time_ns() - changed_at(now) < CLOCK_STEP:
            self.recent.add(place)
        existed = is_file(before)
        if existed and sha256 == known:
            return None
        self._left -= size_of(now)
        return _Told(place, "modified" if existed else "created", size_of(now), sha256)


class _Reader:
    """Reads files, of which many in a row lie in the same directory."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._path: Place | None = None
        self._folder = -1
        self._stack = ExitStack()

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hash_of(self, place: Place, expected: Signature) -> str | None:
        """Return the hash of a file; None when it is not, or not all the time, what was expected.

        Raises:
            OSError: it cannot be read.
        """
        try:
            if self._path != place[:-1]:
                self._path = None
                self._stack.close()
                self._folder = self._stack.enter_context(self._tree.opened(place[:-1]))
                self._path = place[:-1]
            return hash_of(self._folder, place[-1], expected)
        except (FileNotFoundError, NotADirectoryError):
            return None


def mime_of(name: str) -> str:
    """Return the mime type that goes with the name of a file."""
    kind, encoding = _TYPES.guess_type(f"./{name}")  # what looks like the scheme of a URL is none
    if encoding is not None:
        return _COMPRESSED.get(encoding, "application/octet-stream")
    return kind or "application/octet-stream"


def _linked(journal: Journal) -> set[int]:
    """Return the inodes of the files that have several names now."""
    return {inode_of(now) for _, now in journal.values() if now is not None and names_of(now) > 1}
