"""Where each cell of a notebook file lies, and which bytes a change of it needs. Pure: no files here.

The layout is the one JupyterLab's server writes, so that opening a recording there changes nothing. As
keys are sorted, `cells` comes first and only a short tail follows: a new cell is written over the tail, and
a tail again.

    {            head
     "cells": [
      {...},     a chunk each: its separator and the cell
      {...}
     ],          tail
     "metadata": {...},
     "nbformat": 4, ...
    }
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kernel_exec.recording.cells import Cell, stored_output

HEAD = b'{\n "cells": ['
_NO_OUTPUTS = b'\n   "outputs": []'
"""The empty outputs of a cell: no key inside its metadata is indented so little, and no text holds a newline."""
_LONG_TEXT = 64 * 1024
_TAIL = ',\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}\n'


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that move: from `start` to before `stop` in the file as it was."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start


Piece = bytes | Kept


@dataclass(frozen=True, slots=True)
class Plan:
    """A change of the file: all before `at` stays, and `pieces` follow.

    Attributes:
        at: the first byte that changes.
        pieces: what stands there and behind, in order.
        first: the first cell that changes.
        chunks: id and size in bytes of that cell and all behind it.
        metadata: the notebook's metadata from now on.
    """

    at: int
    pieces: tuple[Piece, ...]
    first: int
    chunks: tuple[tuple[str, int], ...]
    metadata: Mapping[str, Any]

    @property
    def size(self) -> int:
        """The size of the whole file afterwards."""
        return self.at + sum(piece.size if isinstance(piece, Kept) else len(piece) for piece in self.pieces)


@dataclass(slots=True)
class Document:
    """The places of the cells in a notebook file; none is held here, so a session may be long."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
    _ids: list[str] = field(default_factory=list)
    _index: dict[str, int] = field(default_factory=dict)
    _ends: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, cell_id: object) -> bool:
        return cell_id in self._index

    def plan(self, cells: Iterable[Cell], metadata: Mapping[str, Any] | None = None) -> Plan:
        """Return the change that replaces the cells of these ids and appends those that are new.

        Args:
            cells: the cells; of several with one id, the last counts.
            metadata: new metadata of the notebook; None keeps what it has.
        """
        changed = {cell["id"]: cell for cell in cells}
        first = min((self._index.get(cell_id, len(self)) for cell_id in changed), default=len(self))
        new = (cell_id for cell_id in changed if cell_id not in self._index)
        return self._plan(first, [*self._ids[first:], *new], changed, metadata)

    def whole(self, cells: Iterable[Cell], metadata: Mapping[str, Any] | None = None) -> Plan:
        """Return the change that makes these the only cells; their ids must differ."""
        fresh = Document(self.metadata)
        plan = fresh.plan(cells, metadata)
        return Plan(0, (HEAD, *plan.pieces), 0, plan.chunks, plan.metadata)

    def apply(self, plan: Plan) -> None:
        """Take note that the file has been changed."""
        for cell_id in self._ids[plan.first :]:
            del self._index[cell_id]
        del self._ids[plan.first :], self._ends[plan.first :]
        for cell_id, size in plan.chunks:
            self._index[cell_id] = index = len(self)
            self._ends.append(self._start(index) + size)
            self._ids.append(cell_id)
        self.metadata = plan.metadata

    def _plan(
        self, first: int, ids: list[str], changed: Mapping[str, Cell], metadata: Mapping[str, Any] | None
    ) -> Plan:
        pieces = [self._piece(first + offset, changed.get(cell_id)) for offset, cell_id in enumerate(ids)]
        sizes = [piece.size if isinstance(piece, Kept) else len(piece) for piece in pieces]
        metadata = self.metadata if metadata is None else metadata
        tail = tail_bytes(metadata, empty=first + len(ids) == 0)
        chunks = tuple(zip(ids, sizes, strict=True))
        return Plan(self._start(first), (*_merged(pieces), tail), first, chunks, metadata)

    def _piece(self, index: int, cell: Cell | None) -> Piece:
        if cell is None:
            return Kept(self._start(index), self._ends[index])
        return chunk_bytes(cell, first=index == 0)

    def _start(self, index: int) -> int:
        return self._ends[index - 1] if index else len(HEAD)


def chunk_bytes(cell: Cell, *, first: bool) -> bytes:
    """Return a cell as it stands in the file, with what separates it from the one before.

    The outputs are encoded one by one: on its way to JSON an output takes ten times the memory of its text.
    """
    outputs = cell.get("outputs") or []
    text = "\n" + dumps({**cell, "outputs": []} if outputs else cell)
    before, found, after = encode(("" if first else ",") + text.replace("\n", "\n  ")).partition(_NO_OUTPUTS)
    if not outputs:
        return before + found + after
    parts = (part for output in outputs for part in (b",", *_output_parts(output)))
    next(parts)  # the comma before the first
    return b"".join((before, found[:-1], *parts, b"\n   ]", after))


def _output_parts(output: Mapping[str, Any]) -> Iterable[bytes]:
    text = output.get("text")
    if output["output_type"] != "stream" or not isinstance(text, str) or len(text) < _LONG_TEXT:
        return (encode(("\n" + dumps(stored_output(output))).replace("\n", "\n    ")),)
    frame = encode(("\n" + dumps({**stored_output({**output, "text": ""}), "text": [""]})).replace("\n", "\n    "))
    before, _, after = frame.rpartition(b'""')
    return itertools.chain((before,), _encoded_lines(text), (after,))


def _encoded_lines(text: str) -> Iterator[bytes]:
    """Encode the lines of a text, some at a time."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _LONG_TEXT) + 1 or len(text)
        lines = text[start:end].splitlines(keepends=True)
        between = ",\n      " if start else ""
        yield encode(between + ",\n      ".join(json.dumps(line, ensure_ascii=False) for line in lines))
        start = end


def tail_bytes(metadata: Mapping[str, Any], *, empty: bool) -> bytes:
    """Return what follows the cells."""
    text = dumps(metadata).replace("\n", "\n ")
    return encode(("]" if empty else "\n ]") + _TAIL.replace("{}", text, 1))


def dumps(value: Any) -> str:
    """Return JSON as nbformat writes it; numbers that JSON does not have become their names."""
    try:
        return _dumps(value)
    except ValueError:  # NaN or an infinity, which no browser reads
        return _dumps(_finite(value))


def encode(text: str) -> bytes:
    """Return text as UTF-8; lone surrogates, which UTF-8 does not have, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, indent=1, separators=(",", ": "))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Join kept pieces that lie side by side: one copy instead of one for each cell."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, Kept) and isinstance(last, Kept) and last.stop == piece.start:
            merged[-1] = Kept(last.start, piece.stop)
        else:
            merged.append(piece)
    return merged
