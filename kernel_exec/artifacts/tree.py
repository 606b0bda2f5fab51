"""What lies below a directory, and what has changed there since somebody asked last.

Events tell where to look; what is found there decides. Without events everything is looked at, and found the same, but
for what is done to a file under a name outside, and for a further name of a file that came and went: no event tells.
Nothing is trusted to stay what it was: directories are opened from the top, name by name, and no link is followed.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kernel_exec.artifacts.inotify import Event, Inotify, Overflow
from kernel_exec.artifacts.signatures import Kind, Signature, closed_directory, inode_of, names_of, signature

MAX_DEPTH = 64
"""Levels of directories that are entered."""
MAX_ENTRIES = 1_000_000
"""Files that are known at a time: about 200 bytes each."""
HOT = 256
"""Names with an event lately that are looked at in any case: one mapped into memory is written without events."""

DRAIN = 1000
"""Directories after which events are taken: listing them is an event as well, and too many would be lost."""

_ENTER = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class TooMany(Exception):
    """There are more files than can be followed."""


class Folder:
    """A directory as it was found.

    Attributes:
        path: names of the directories from the top down to it.
        inode: its number, by which one that was replaced is known.
        files: what lies in it and is no directory that is entered.
        folders: directories in it.
        watch: number of the watch for its events; None without one.
        alive: whether it is still a part of the tree.
        unreadable: whether it was told that it cannot be listed.
    """

    __slots__ = ("alive", "files", "folders", "inode", "path", "unreadable", "watch")

    def __init__(self, path: tuple[str, ...], inode: int) -> None:
        self.path = path
        self.inode = inode
        self.files: dict[str, Signature] = {}
        self.folders: dict[str, Folder] = {}
        self.watch: int | None = None
        self.alive = True
        self.unreadable = False


Place = tuple[str, ...]
"""Where something lies: the names from the top down to it."""
Journal = dict[Place, tuple[Signature | None, Signature | None]]
"""What lay in a place before, and what lies there now; None for nothing."""


class Tree:
    """Everything below a directory.

    Args:
        top: the directory; a link is followed once, here.
        ignored: what is left out, with everything in it.
        patterns: names that are left out wherever they are, with the wildcards of `fnmatch`.
        events: whether to use the file system's events where there are any.
    """

    def __init__(self, top: Path, ignored: Iterable[Path], patterns: Sequence[str], *, events: bool) -> None:
        self._top = os.path.realpath(top)
        self._ignored = {_below(self._top, path) for path in ignored}
        self._pattern = re.compile("|".join(map(fnmatch.translate, patterns))) if patterns else None
        self._inotify = _inotify() if events else None
        self._events: list[Event] | None = []  # that have come; None when some were lost
        self._watched: dict[int, Folder] = {}
        self._hot: dict[tuple[Folder, str], None] = {}
        self._journal: Journal | None = None  # nobody wants one yet
        self._entries = 0
        self._fd = -1
        self._device = 0
        self._root = Folder((), 0)
        self.unreadable: list[Place] = []
        """Directories that could not be listed at the last update and for the first time."""

    @property
    def watching(self) -> bool:
        """Whether events tell where to look."""
        return self._inotify is not None

    def ignore(self, path: Path) -> None:
        """Leave out one more, which does not exist yet."""
        self._ignored.add(_below(self._top, path))

    def update(self) -> Journal:
        """Look at what has changed since the last look, and return it.

        Raises:
            TooMany: there are more files than are followed, now or once before.
        """
        if self._entries > MAX_ENTRIES:
            raise TooMany
        journal: Journal = {}
        self._journal = journal
        self.look()
        return journal

    def look(self) -> None:
        """Look at what has changed since the last look.

        Raises:
            TooMany: there are more files than are followed.
        """
        self.unreadable = []
        events = self._read_events()
        if not self._same_top():
            self._reopen()
            events = None
        if events is None:
            self._scan([self._root], everything=True)
        else:
            self._look_at(events)
            self._look_at_links()

    def look_again(self, place: Place) -> None:
        """Look at one place of the journal once more."""
        folder = self._find(place[:-1])
        if folder is not None:
            self._look_at({folder: {place[-1]}})

    def signature_at(self, place: Place) -> Signature | None:
        """Return what lay in a place when it was looked at last."""
        folder = self._find(place[:-1])
        return folder.files.get(place[-1]) if folder is not None else None

    def places_of(self, inodes: set[int]) -> dict[int, list[Place]]:
        """Return all places of some files, by inode."""
        places: dict[int, list[Place]] = {}
        for folder in self._folders(self._root) if inodes else ():
            for name, found in folder.files.items():
                if (inode := inode_of(found)) in inodes:
                    places.setdefault(inode, []).append((*folder.path, name))
        return places

    @contextlib.contextmanager
    def opened(self, path: Place) -> Iterator[int]:
        """Open a directory; the value is its descriptor, good for looking up names.

        Raises:
            OSError: there is no such directory any more, or a link in its place.
        """
        if self._fd < 0:
            raise FileNotFoundError
        fd = os.dup(self._fd)
        try:
            for name in path:
                inner = os.open(name, _ENTER, dir_fd=fd)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of all descriptors; idempotent."""
        self._stop_watching()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    # The directory itself

    def _same_top(self) -> bool:
        try:
            found = os.stat(self._top, follow_symlinks=False)
        except OSError:
            return False
        return self._fd >= 0 and os.path.samestat(found, os.fstat(self._fd))

    def _reopen(self) -> None:
        """The directory is opened for the first time, or is gone, or another one lies in its place."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = _open_top(self._top)
            info = os.fstat(self._fd)
            self._root.inode, self._device = info.st_ino, info.st_dev
        self._unwatch(self._root)
        if self._fd < 0:
            self._empty(self._root)

    # Events

    def _read_events(self) -> dict[Folder, set[str]] | None:
        """Return the names to look at; None when they are not known."""
        if self._inotify is None:
            return None
        self._drain()
        events, self._events = self._events, []
        if events is None:
            return None
        places = {place: None for place in self._hot if place[0].alive}
        for event in events:
            folder = self._watched.get(event.watch)
            if folder is not None and event.ended:
                folder.watch = None
                del self._watched[event.watch]
            elif folder is not None and event.name:
                places.pop((folder, event.name), None)
                places[folder, event.name] = None
        self._hot = dict.fromkeys(list(places)[-HOT:])
        return _grouped(places)

    def _drain(self) -> None:
        """Take the events that have come, before there are too many to keep."""
        if self._inotify is not None and self._events is not None:
            try:
                self._events += self._inotify.read()
            except Overflow:
                self._events = None

    def _watch(self, folder: Folder, fd: int) -> None:
        if self._inotify is None:
            return
        try:
            watch = self._inotify.add(fd)
        except OSError:
            # No watch is left, or there are none here; from now on everything is looked at.
            self._stop_watching()
            return
        if watch != folder.watch:
            self._unwatch(folder)
            if (before := self._watched.get(watch)) is not None:  # the directory was moved
                before.watch = None
            folder.watch = watch
            self._watched[watch] = folder

    def _unwatch(self, folder: Folder) -> None:
        if folder.watch is not None and self._inotify is not None:
            self._inotify.remove(folder.watch)
            self._watched.pop(folder.watch, None)
        folder.watch = None

    def _stop_watching(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
        self._inotify = None
        self._events, self._watched, self._hot = [], {}, {}

    # Looking

    def _look_at(self, places: dict[Folder, set[str]]) -> None:
        watching = self.watching
        for folder, names in places.items():
            # What is gone with its directory is seen where that one was.
            with contextlib.suppress(OSError), self.opened(folder.path) as fd:
                if folder.alive:
                    self._look_into(folder, names, fd)
        if watching and not self.watching:
            # The last watch failed meanwhile: what was to come as an event is looked for.
            self._scan([self._root], everything=True)

    def _look_into(self, folder: Folder, names: Iterable[str], fd: int) -> None:
        found: list[Folder] = []
        for name in names:
            try:
                info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                self._missing(folder, name)
                continue
            child = self._seen(folder, name, info)
            if child is not None and child.watch is None:
                found.append(child)
        self._scan(found, everything=False)

    def _scan(self, folders: list[Folder], *, everything: bool) -> None:
        """List directories with all that is new in them, or with everything in them."""
        for number in itertools.count(1):
            if not folders:
                return
            folder = folders.pop()
            try:
                with self.opened(folder.path) as fd:
                    children = self._list(folder, fd)
            except (FileNotFoundError, NotADirectoryError):
                continue  # its end is seen at the next update
            except OSError:
                if not folder.unreadable:
                    self.unreadable.append(folder.path)
                folder.unreadable = True
                continue
            folders += [child for child in children if everything or child.watch is None]
            if number % DRAIN == 0:
                self._drain()

    def _list(self, folder: Folder, path_fd: int) -> list[Folder]:
        """Take in what a directory holds; return the directories in it."""
        fd = os.open(".", _LIST, dir_fd=path_fd)
        try:
            self._watch(folder, fd)  # before it is listed, so that nothing slips through
            seen, children = set(), []
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # gone since it was listed
                    seen.add(entry.name)
                    child = self._seen(folder, entry.name, info)
                    if child is not None:
                        children.append(child)
        finally:
            os.close(fd)
        for name in [name for known in (folder.files, folder.folders) for name in known if name not in seen]:
            self._missing(folder, name)
        return children

    def _look_at_links(self) -> None:
        """Look at the other names of changed files: what is done under one name is no event under another."""
        linked = {
            inode_of(found)
            for change in (self._journal or {}).values()
            for found in change
            if found is not None and names_of(found) > 1
        }
        if linked:
            places = itertools.chain.from_iterable(self.places_of(linked).values())
            self._look_at(_grouped((self._find(place[:-1]), place[-1]) for place in places))

    # The table

    def _seen(self, folder: Folder, name: str, info: os.stat_result) -> Folder | None:
        """Something lies under a name; return it when it is a directory to enter."""
        if not stat.S_ISDIR(info.st_mode):
            found = signature(info)
        elif info.st_dev != self._device:
            found = closed_directory(info, Kind.FOREIGN)
        elif len(folder.path) >= MAX_DEPTH:
            found = closed_directory(info, Kind.DEEP)
        else:
            return self._seen_folder(folder, name, info.st_ino)
        if folder.files.get(name) != found and not self._is_ignored(folder, name):
            if name in folder.folders:
                self._drop(folder, name)
            self._put(folder, name, found)
        return None

    def _seen_folder(self, folder: Folder, name: str, inode: int) -> Folder | None:
        known = folder.folders.get(name)
        if known is not None and known.inode == inode:
            return known
        if self._is_ignored(folder, name):
            return None
        self._missing(folder, name)
        folder.folders[name] = child = Folder((*folder.path, name), inode)
        self._count(1)
        return child

    def _missing(self, folder: Folder, name: str) -> None:
        """Nothing lies under a name any more."""
        if name in folder.folders:
            self._drop(folder, name)
        elif name in folder.files:
            self._put(folder, name, None)

    def _drop(self, folder: Folder, name: str) -> None:
        """A directory is gone, with everything in it."""
        gone = folder.folders.pop(name)
        self._count(-1)
        self._empty(gone)
        self._unwatch(gone)
        gone.alive = False

    def _empty(self, folder: Folder) -> None:
        for name in list(folder.files):
            self._put(folder, name, None)
        for name in list(folder.folders):
            self._drop(folder, name)

    def _put(self, folder: Folder, name: str, found: Signature | None) -> None:
        place = (*folder.path, name)
        before = folder.files.get(name)
        if self._journal is not None:
            self._journal[place] = (self._journal.get(place, (before, None))[0], found)
        self._count((found is not None) - (before is not None))
        if found is None:
            del folder.files[name]
        else:
            folder.files[name] = found

    def _count(self, more: int) -> None:
        self._entries += more
        if self._entries > MAX_ENTRIES:
            self.close()
            self._root = Folder((), 0)
            raise TooMany

    def _is_ignored(self, folder: Folder, name: str) -> bool:
        if self._pattern is not None and self._pattern.match(name):
            return True
        return bool(self._ignored) and (*folder.path, name) in self._ignored

    def _find(self, path: Place) -> Folder | None:
        folder: Folder | None = self._root
        for name in path:
            folder = folder.folders.get(name) if folder is not None else None
        return folder

    def _folders(self, top: Folder) -> Iterator[Folder]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            yield folder
            waiting += folder.folders.values()


def _inotify() -> Inotify | None:
    try:
        return Inotify()
    except OSError:
        return None


def _grouped(places: Iterable[tuple[Folder | None, str]]) -> dict[Folder, set[str]]:
    grouped: dict[Folder, set[str]] = {}
    for folder, name in places:
        if folder is not None:
            grouped.setdefault(folder, set()).add(name)
    return grouped


def _open_top(path: str) -> int:
    """Open a directory by an absolute path without links.

    Raises:
        OSError: there is none, or a link on the way to it.
    """
    fd = os.open("/", _ENTER)
    for name in Path(path).parts[1:]:
        try:
            inner = os.open(name, _ENTER, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def _below(top: str, path: Path) -> Place | None:
    """Return where a path lies below a directory; None when it lies elsewhere."""
    whole = Path(os.path.realpath(path.parent), path.name)
    return whole.relative_to(top).parts if whole.is_relative_to(top) else None
