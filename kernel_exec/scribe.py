"""Writes a session down while it happens: beside the event loop, in order, never twice at once."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel_exec.errors import RecordingError
from kernel_exec.home import Home
from kernel_exec.pictures import save
from kernel_exec.recording import Recorder, code_cell
from kernel_exec.results import Image, Output
from kernel_exec.secrets import Veil
from kernel_exec.wire.cell import Cell
from kernel_exec.worker import Worker

RUNNING_INTERVAL = 0.5
"""Seconds between two writes of a running cell, at the least: who follows the notebook sees it within a second."""
LATE_INTERVAL = 0.05
"""Seconds for which late output of finished cells is gathered."""


@dataclass(slots=True)
class Entry:
    """A cell as it stands in the recording.

    Attributes:
        cell: the cell, whose outputs may still change.
        facts: what is known of it: `kernel_exec` in its metadata.
        given: further metadata, by its caller.
        extra: outputs that the kernel did not send, after its own.
    """

    cell: Cell
    facts: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    extra: tuple[Output, ...] = ()

    def as_cell(self) -> dict[str, Any]:
        """Return the nbformat cell as it is now."""
        cell = self.cell
        outputs = [*cell.outputs.snapshot(), *self.extra]
        metadata = with_facts(self.given, self.facts)
        if cell.stamps:
            metadata["execution"] = dict(cell.stamps)
        return code_cell(cell.cell_id, cell.source, outputs, cell.execution_count, metadata)


def with_facts(given: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata of a cell: what its caller gave, and what we know better."""
    ours = given.get("kernel_exec")
    return {**given, "kernel_exec": {**(ours if isinstance(ours, Mapping) else {}), **facts}}


@dataclass(slots=True)
class _Due:
    entries: dict[str, Entry] = field(default_factory=dict)  # by cell id, in the order in which they changed
    timer: asyncio.TimerHandle | None = None


class Scribe:
    """The recording of one session, and the files of its pictures.

    Args:
        home: where they are.
        worker: the thread that waits for the disk.
        veil: masks what is written.
        on_hidden: told of the hidden file before it is made, so that somebody can clean it up.
    """

    def __init__(self, home: Home, worker: Worker, veil: Veil, on_hidden: Callable[[Path], None]) -> None:
        notebook, untrusted = home.notebook, home.workdir
        self._recorder = Recorder(notebook, untrusted=untrusted, on_hidden=on_hidden) if notebook is not None else None
        self._pictures = home.pictures
        self._worker, self._veil = worker, veil
        self._entries: weakref.WeakKeyDictionary[Cell, Entry] = weakref.WeakKeyDictionary()
        self._due = _Due()
        self._writing: set[asyncio.Task[str | None]] = set()
        self.trouble: str | None = None
        """What kept the last write from disk; None when all is well."""

    @property
    def path(self) -> Path | None:
        """The notebook that is written."""
        return self._recorder.path if self._recorder else None

    async def open(self, metadata: dict[str, Any]) -> None:
        """Begin the notebook.

        Raises:
            RecordingError: it cannot be written where it should be.
        """
        if self._recorder is not None:
            await self._worker.run(self._recorder.open, self._veil.data(metadata))

    async def resume(self, metadata: dict[str, Any]) -> None:
        """Go on in the notebook that is there, once there is a cell to write.

        Raises:
            RecordingError: that cannot be done.
        """
        if self._recorder is not None:
            await self._worker.run(self._recorder.resume, self._veil.data(metadata))

    async def keep(self, cell: dict[str, Any]) -> None:
        """Have a cell that no kernel ran written before the next one."""
        if self._recorder is not None:
            await self._worker.run(self._recorder.keep, self._veil.data(cell))

    async def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Change the notebook's metadata."""
        if self._recorder is not None:
            await self._settled(self._worker.run(self._recorder.set_metadata, self._veil.data(metadata)))

    async def save(self, images: list[Image], stem: str) -> tuple[list[Image], str | None]:
        """Write pictures to files; return them with their paths, or as they were and why it failed."""
        if not images:
            return images, None
        try:
            return await self._worker.run(save, images, self._pictures, stem), None
        except OSError as error:
            return images, f"the pictures could not be written to {self._pictures.path}: {error}"

    async def write(self, entry: Entry) -> str | None:
        """Write a cell that has ended; on disk when this returns. Return what went wrong, if anything."""
        self._entries[entry.cell] = entry
        self._due.entries.pop(entry.cell.cell_id, None)
        return await self.write_cell(entry.as_cell())

    async def write_cell(self, cell: dict[str, Any]) -> str | None:
        """Write a cell that no kernel ran, such as a text."""
        return await self._settled(self._worker.run(self._write, cell)) if self._recorder else None

    async def write_below(self, cell: dict[str, Any]) -> str | None:
        """Write a cell that no kernel ran below the one that runs, which may not be written yet."""
        self._write_due()
        return await self.write_cell(cell)

    def begin(self, entry: Entry) -> None:
        """A cell starts running: it is written while it runs, about twice a second."""
        self._entries[entry.cell] = entry
        self.changed(entry.cell, RUNNING_INTERVAL)

    def changed(self, cell: Cell, interval: float = LATE_INTERVAL) -> None:
        """The outputs of a cell changed: write it soon. `interval` in seconds bounds how often."""
        entry = self._entries.get(cell)
        if entry is None or self._recorder is None:
            return
        self._due.entries[cell.cell_id] = entry
        if self._due.timer is None:
            self._due.timer = asyncio.get_running_loop().call_later(interval, self._write_due)

    async def close(self) -> None:
        """Write what is due and end; idempotent.

        Raises:
            RecordingError: cells could not be written; the message says where they were saved instead.
        """
        try:
            self._write_due()
            while self._writing:
                await asyncio.wait(self._writing)
            if self._recorder is not None:
                await self._worker.run(self._recorder.close)
        finally:
            if self._due.timer is not None:
                self._due.timer.cancel()

    def _write_due(self) -> None:
        if self._due.timer is not None:
            self._due.timer.cancel()
        entries, self._due = list(self._due.entries.values()), _Due()
        for entry in entries:
            # Handed to the worker here and now: a task would come after the final write of the same cell.
            task = asyncio.ensure_future(self._settled(self._worker.run(self._write, entry.as_cell())))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)

    def _write(self, cell: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.write(self._veil.data(cell))

    async def _settled(self, written: asyncio.Future[None]) -> str | None:
        try:
            await written
        except RecordingError as error:
            self.trouble = str(error)
        else:
            self.trouble = None
        return self.trouble
