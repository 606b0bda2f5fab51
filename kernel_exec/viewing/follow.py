"""A notebook that changes, as the HTML of its cells: each is made once, and again only when its bytes differ."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kernel_exec.errors import NotebookError
from kernel_exec.folder import IsNoFile, open_regular
from kernel_exec.pages.cells import cell_html
from kernel_exec.pages.facts import Facts, facts_of
from kernel_exec.pages.outputs import escaped
from kernel_exec.pages.session import TITLED, anchor, header_html, title_of
from kernel_exec.recording import is_recorded
from kernel_exec.recording.foreign import MAX_DEPTH
from kernel_exec.recording.source import Program, SourceCell, read_cell
from kernel_exec.viewing.slices import Sliced, cell_of, sliced
from kernel_exec.wire.messages import depth_beyond

State = Literal["live", "ended", "gone"]
"""Whether it is being recorded, lies there, or does not."""
MAX_FILE = 512 * 2**20
_RUNNING = b'"running"'


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell that has been made HTML.

    Attributes:
        key: what it was made of: its bytes, and whether it runs.
        html: the HTML.
        cell: the cell without its outputs.
        facts: what is known of it.
    """

    key: tuple[bytes, bool]
    html: str
    cell: SourceCell
    facts: Facts


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A notebook as it was at one instant.

    Attributes:
        version: grows with each change.
        title: of the page.
        head: the head of the page, as HTML.
        cells: HTML by cell.
        changed: by cell, the version in which it changed last.
    """

    version: int = 0
    title: str = ""
    head: str = ""
    cells: tuple[str, ...] = ()
    changed: tuple[int, ...] = ()

    def update(self, version: int) -> dict[str, Any]:
        """Return what somebody lacks who has seen a version; all of it, when that was never one."""
        seen = version if version <= self.version else -1
        cells = [[index, self.cells[index]] for index, changed in enumerate(self.changed) if changed > seen]
        return {
            "version": self.version,
            "title": self.title,
            "head": self.head,
            "count": len(self.cells),
            "cells": cells,
            "now": time.time(),
        }


@dataclass(slots=True)
class Follower:
    """Reads a notebook whenever it is asked to look; for one thread at a time.

    Attributes:
        path: the notebook; it need not be there.
        snapshot: how it was when it was last seen whole.
    """

    path: Path
    snapshot: Snapshot = field(default_factory=Snapshot)
    _stamp: tuple[object, ...] = ()
    _failed: tuple[object, ...] = ()
    _shown: list[Shown] = field(default_factory=list)
    _language: str = ""
    _file: Sliced | None = None
    _recorded: bool = False

    def look(self) -> bool:
        """Look whether it has changed; whether it is to be looked at again soon, as it cannot be read now."""
        stamp = self._looks()
        if stamp == self._stamp:
            return False
        if stamp[0] == "gone":
            self._publish((), Program(()), "gone")
        else:
            try:
                found = sliced(_bytes_of(self.path), self._file)
                self._read(found, recorded=stamp[0] == "live")
                self._file = found  # the one of which `_shown` was made
            except (OSError, NotebookError) as error:
                if stamp != self._failed:  # half written, or just being swapped: what was seen stays
                    self._failed = stamp
                    return True
                why = error.strerror if isinstance(error, OSError) and error.strerror else error
                self.tell(f"The notebook cannot be read now: {why}.")  # it is not read again until it changes
        self._stamp = stamp
        return False

    def tell(self, why: str) -> None:
        """Say on the page why it shows nothing newer."""
        seen = self.snapshot
        self.snapshot = replace(seen, version=seen.version + 1, head=f"{seen.head}<p>{escaped(why)}</p>")

    def _looks(self) -> tuple[object, ...]:
        """Return what differs whenever the file may."""
        try:
            status = os.stat(self.path)
        except OSError:
            return ("gone",)
        state: State = "live" if is_recorded(self.path) else "ended"
        return (state, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def _read(self, found: Sliced, *, recorded: bool) -> None:
        program = Program((), found.rest.get("metadata", {}))
        if program.language != self._language:
            self._language, self._shown = program.language, []
        same = min(found.same, len(self._shown)) if recorded == self._recorded else 0
        shown = self._shown[:same]
        for index, part in enumerate(found.cells[same:], same):
            key = (part, recorded and _RUNNING in part)
            old = self._shown[index] if index < len(self._shown) else None
            shown.append(old if old and old.key == key else _made(index, key, program.language))
        self._shown, self._recorded = shown, recorded
        first = [one.cell for one in shown[:TITLED]]
        self._publish(shown, replace(program, cells=first), "live" if recorded else "ended", same)

    def _publish(self, shown: Sequence[Shown], program: Program, state: State, same: int = 0) -> None:
        before, version = self.snapshot, self.snapshot.version + 1
        name = self.path.name
        title = title_of(program, name)
        same = min(same, len(before.cells))
        new = [one.html for one in shown[same:]]
        known = itertools.chain(zip(before.cells[same:], before.changed[same:], strict=True), itertools.repeat(("", 0)))
        changed = (seen if old == html else version for html, (old, seen) in zip(new, known, strict=False))
        cells = (*before.cells[:same], *new)
        head = header_html(program, [one.facts for one in shown], title=title, name=name, state=state)
        self.snapshot = Snapshot(version, title, head, cells, (*before.changed[:same], *changed))


def _made(index: int, key: tuple[bytes, bool], language: str) -> Shown:
    part, running = key
    read = cell_of(part)
    if depth_beyond(read, MAX_DEPTH):
        raise NotebookError("it is no notebook: it is nested too deeply")
    cell = read_cell(index, read)
    facts = facts_of(cell, recorded=running)
    html = cell_html(cell, facts, anchor=anchor(index), language=language)
    return Shown(key, html, replace(cell, outputs=(), attachments={}, metadata={}), facts)


def _bytes_of(path: Path, opened: Callable[[Path], int] = open_regular) -> bytes:
    """Return what is in a file, which is held as briefly as can be: its recorder waits for nobody, and copies then."""
    fd = opened(path.resolve())
    try:
        size = os.fstat(fd).st_size
        if size > MAX_FILE:
            raise IsNoFile(0, "it is too large", str(path))
        with open(fd, "rb", buffering=0, closefd=False) as file:
            return file.read(size)
    finally:
        os.close(fd)
