"""What an executor does with messages, without a kernel: read, routed, merged, reported, written down."""

from __future__ import annotations

import gc
import itertools
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import nbformat

from kernel_exec import Limits, outcome
from kernel_exec.execution import Stop
from kernel_exec.folder import Folder
from kernel_exec.glyphs import Glyphs
from kernel_exec.pictures import images_of
from kernel_exec.recording.document import Document
from kernel_exec.report import notes_of
from kernel_exec.scribe import Entry
from kernel_exec.session import Ending
from kernel_exec.spill import Spill
from kernel_exec.text import cut, text_of
from kernel_exec.wire.cell import Cell
from kernel_exec.wire.conversation import Conversation, Refused, Shown
from kernel_exec.wire.messages import BadMessage, Codec
from kernel_exec.wire.outputs import Outputs

LIMITS = Limits(output_bytes=20_000, image_bytes=40_000, artifact_bytes=50_000, text=2_000)


class Listener:
    """One session.

    Attributes:
        refused: how many messages were refused, by reason.
        taken: how many were not.
        slowest: seconds of the slowest message.
    """

    def __init__(self, key: bytes, folder: Path, limits: Limits = LIMITS) -> None:
        self._codec = Codec(key)
        self._folder, self._limits = folder, limits
        self.conversation = Conversation()
        self._numbers = itertools.count(1)
        self._glyphs = Glyphs()
        self.refused: Counter[str] = Counter()
        self.shown: Counter[str] = Counter()
        self.taken = 0
        self.slowest = 0.0
        self.cell, self._spill = self.begin()

    def begin(self) -> tuple[Cell, Spill]:
        """Begin a cell; it takes what comes from now on."""
        number = next(self._numbers)
        self._spill = Spill(Folder(self._folder), f"cell-{number}", self._limits.artifact_bytes)
        self.cell = Cell(f"c{number}", "code", f"r{number}", Outputs(self._limits, self._spill))
        self.conversation.begin(self.cell)
        self.conversation.alias(f"a{number}")
        return self.cell, self._spill

    def hear(self, channel: str, frames: list[bytes]) -> None:
        """Take a message."""
        start = time.perf_counter()
        try:
            events = self.conversation.receive(self._codec.parse(channel, frames))
        except BadMessage as error:
            self.refused[str(error)] += 1
        else:
            self.taken += 1
            self.refused.update(event.reason for event in events if isinstance(event, Refused))
            self.shown.update(event.item["output_type"] for event in events if isinstance(event, Shown))
        self.slowest = max(self.slowest, time.perf_counter() - start)

    def report(self) -> dict[str, Any]:
        """Do what is done when a cell has ended; return the notebook."""
        cell, start = self.cell, time.perf_counter()
        verdict = outcome.verdict_of(cell, Ending((), None, None, None), Stop(None), interrupted=False)
        outputs = [*cell.outputs.snapshot(), *verdict.extra]
        images = images_of(outputs)
        undrawn, again = self._glyphs.told(cell.outputs.stream("stderr"))
        text = text_of(outputs, verdict.error, [], [*undrawn, *again])
        short = cut(text, 2_000, [str(path) for path in self._spill.paths.values()]) if len(text) > 2_000 else text
        short.encode()
        json.dumps([*notes_of(cell.outputs.cuts, self._limits), *self._spill.notes()]).encode()
        assert len(short) <= 2_000
        assert sum(len(image.data) for image in images) <= self._limits.image_bytes
        assert cell.outputs.size <= held_at_most(self._limits)
        notebook = written([Entry(cell, {"status": verdict.status}, extra=verdict.extra).as_cell()], self.widgets)
        for path in self._spill.paths.values():
            assert path.parent == self._folder
            path.unlink(missing_ok=True)
        self.slowest = max(self.slowest, time.perf_counter() - start)
        return notebook

    @property
    def widgets(self) -> dict[str, Any]:
        """What the recording has of the widgets."""
        return self.conversation.widgets.as_metadata()


def written(cells: list[dict[str, Any]], widgets: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook that is written, when it is valid."""
    metadata = {"kernelspec": {"name": "x", "display_name": "x"}, "widgets": widgets}
    pieces = Document().whole(cells, metadata).pieces
    notebook = valid(b"".join(piece for piece in pieces if isinstance(piece, bytes)))
    assert len(notebook["cells"]) == len(cells)
    return notebook


def valid(data: bytes) -> dict[str, Any]:
    """Return a notebook file when it is strictly JSON, strictly UTF-8, and what nbformat allows."""
    notebook: dict[str, Any] = json.loads(data.decode("utf-8"), parse_constant=_no_json, parse_float=_finite)
    nbformat.validate(notebook)
    return notebook


def held_at_most(limits: Limits) -> int:
    """Return what the outputs of a cell may hold."""
    return 2 * limits.output_bytes + limits.image_bytes + 20_000


def resident() -> int:
    """Return the memory of this process in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _no_json(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def _finite(number: str) -> float:
    assert abs(float(number)) < float("inf"), number
    return float(number)
