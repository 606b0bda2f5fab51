"""What a person or a program sees of a run: on a terminal, in a pipe, or as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from kernel_exec.cli.streams import Out, OutputLost
from kernel_exec.cli.tame import RESET, Tamer, tamed
from kernel_exec.recording.source import SourceCell
from kernel_exec.results import ExecutionResult, Output

_MARKS = {"ok": "\x1b[32m✓\x1b[0m", "interrupted": "\x1b[33m■\x1b[0m", "timeout": "\x1b[33m■\x1b[0m"}
_TICK = 0.5
"""Seconds between two looks at the clock of the status line."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the cells to be run it is, counted from 1."""

    number: int
    total: int
    title: str

    def __str__(self) -> str:
        return f"[{self.number}/{self.total}]"


class Show(Protocol):
    """Follows a run. Each method is called by the runner, in this order."""

    def begins(self, place: Place, cell: SourceCell) -> None:
        """A cell starts running."""

    def shows(self, output: Output) -> None:
        """It shows something."""

    def ended(self, place: Place, result: ExecutionResult) -> None:
        """It has ended."""

    def finished(self, summary: Mapping[str, Any]) -> None:
        """The run is over: `status`, `exit_status`, `notebook`, `duration` in seconds, `message`."""


class Text:
    """Output as it comes: what cells print on the same streams, what happens on standard error.

    Nothing of it drives a terminal, but for colours; in a pipe there is no escape sequence at all.

    Args:
        out: standard output.
        err: standard error. On a terminal it shows which cell runs, and for how long.
    """

    def __init__(self, out: Out, err: Out) -> None:
        self._out, self._err = out, err
        self._status = StatusLine(err) if err.is_terminal else None
        self._streams = {"stdout": (out, _tamer(out)), "stderr": (err, _tamer(err))}
        self._newline = True
        self._errors: set[str] = set()  # names of those that the running cell has shown

    def begins(self, place: Place, cell: SourceCell) -> None:
        """Show which cell runs."""
        self._errors = set()
        if self._status:
            self._status.start(f"{place} {place.title}")

    def shows(self, output: Output) -> None:
        """Show an output where it belongs."""
        kind = output["output_type"]
        if kind == "stream":
            stream, tamer = self._streams[output["name"]]
            self._write(stream, tamer(output["text"]))
        elif kind == "error":
            self._errors.add(output["ename"])
            self._line(self._err, "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}")
        elif text := _readable(output.get("data", {})):
            self._line(self._out, text)

    def ended(self, place: Place, result: ExecutionResult) -> None:
        """Say how it ended, and where its pictures are."""
        for stream, tamer in self._streams.values():
            self._write(stream, tamer.end())
        if self._status:
            self._status.stop()
        for image in result.images:
            self._line(self._err, f"{place} picture: {image.path or image.mime}")
        if result.error and result.error.name not in self._errors:
            self._line(self._err, str(result.error))
        for note in result.notes:
            self._line(self._err, f"{place} note: {note}")
        mark = _MARKS.get(result.status, "\x1b[31m✗\x1b[0m")
        seconds = f"{result.duration:.2f} s"
        line = f"{mark} {place} {seconds}  \x1b[2m{place.title}\x1b[0m" if self._status else ""
        self._line(self._err, line or f"{place} {result.status}, {seconds}")

    def finished(self, summary: Mapping[str, Any]) -> None:
        """Say where the recording is."""
        if self._status:
            self._status.stop()
        if summary["message"]:
            self._line(self._err, f"kernel-exec: {summary['message']}")
        if summary["notebook"]:
            self._line(self._err, f"recorded in {summary['notebook']}")

    def _line(self, stream: Out, text: str) -> None:
        """Write whole lines, on lines of their own."""
        text = tamed(text.rstrip("\n"), for_pipe=not stream.is_terminal)
        self._write(stream, ("" if self._newline else "\n") + text + "\n")

    def _write(self, stream: Out, text: str) -> None:
        if not text:
            return
        if visible := text.removesuffix(RESET):
            self._newline = visible.endswith("\n")
        if self._status:
            self._status.above(stream, text)
        else:
            stream.write(text)


class StatusLine:
    """One line at the bottom of a terminal that tells what runs, and for how long."""

    def __init__(self, stream: Out) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._text = ""
        self._since = 0.0
        self._free = True  # the cursor is at the beginning of a line, so there is room

    def start(self, text: str) -> None:
        """Show a text and how long it has been there."""
        self._text, self._since = tamed(text), time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, args=(self._over,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take it away; idempotent."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None
            with self._lock:
                self._clear()

    def above(self, stream: Out, text: str) -> None:
        """Write text above it."""
        with self._lock:
            self._clear()
            stream.write(text)
            if visible := text.removesuffix(RESET):
                self._free = visible.endswith("\n")

    def _tick(self, over: threading.Event) -> None:
        with contextlib.suppress(OutputLost):  # the next output, or the end, meets it too
            while not over.wait(_TICK):
                with self._lock:
                    self._show()

    def _show(self) -> None:
        self._clear()
        if self._free:
            seconds = time.monotonic() - self._since
            self._stream.write(f"\x1b[2m{self._text[:60]}  {seconds:.0f} s\x1b[0m")

    def _clear(self) -> None:
        if self._free:
            self._stream.write("\r\x1b[2K")


class Json:
    """One JSON document at the end, and nothing else on standard output."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._cells: list[dict[str, Any]] = []

    def begins(self, place: Place, cell: SourceCell) -> None:
        """Take note of its source."""
        self._cells.append({"source": cell.source, "tags": list(cell.tags), "status": "interrupted"})

    def shows(self, output: Output) -> None:
        """Show nothing yet: the result has it all."""

    def ended(self, place: Place, result: ExecutionResult) -> None:
        """Take note of the result."""
        self._cells[-1] |= as_json(result)

    def finished(self, summary: Mapping[str, Any]) -> None:
        """Print the document."""
        self._out.write(json.dumps({**summary, "cells": self._cells}, indent=1, default=str) + "\n")


def as_json(result: ExecutionResult) -> dict[str, Any]:
    """Return a result as JSON can hold it: pictures by their files, as their bytes are in the outputs."""
    names = (name for name in ExecutionResult.__dataclass_fields__ if name not in ("error", "images", "artifacts"))
    found = {name: getattr(result, name) for name in names}
    error = result.error
    found["error"] = error and {"name": error.name, "value": error.value, "traceback": list(error.traceback)}
    found["artifacts"] = [asdict(artifact) for artifact in result.artifacts]
    found["images"] = [{"mime": image.mime, "path": image.path and str(image.path)} for image in result.images]
    return found


def make_show(*, as_document: bool) -> Show:
    """Return what fits the standard streams of this process."""
    return Json(Out(sys.stdout)) if as_document else Text(Out(sys.stdout), Out(sys.stderr))


def _tamer(stream: Out) -> Tamer:
    return Tamer(for_pipe=not stream.is_terminal)


def _readable(data: Mapping[str, Any]) -> str:
    for mime in ("text/markdown", "text/plain"):
        if mime in data:
            return str(data[mime])
    return f"[{', '.join(sorted(data))}]" if data else ""
