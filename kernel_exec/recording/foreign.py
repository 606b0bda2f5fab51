"""Reads what somebody else saved under a recording's name. Pure: no files here."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from kernel_exec.recording.cells import Cell, text_of
from kernel_exec.wire.messages import depth_beyond

MAX_VALUES = 1_000_000
"""Values, as JSON counts them, of the largest notebook of others that is merged."""
MAX_DEPTH = 150
"""Levels of lists and objects in it: more than a kernel may send, and what stands around that."""
_BEFORE_VALUES = (b",", b"[", b"{")
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def read_notebook(data: bytes, ours: Iterable[Cell]) -> dict[str, Any] | None:
    """Return a notebook of format 4 with an id in each cell; None when this is none, or too much of one.

    Args:
        data: what the file holds.
        ours: the cells that the recording has. Programs that know no ids drop them: then a cell is known
            again by its source.
    """
    # Each value takes up to a hundred times its text: no more are parsed than memory has room for.
    return parsed(data, ours) if sum(map(data.count, _BEFORE_VALUES)) <= MAX_VALUES else None


def parsed(data: bytes, ours: Iterable[Cell]) -> dict[str, Any] | None:
    """Return what `read_notebook` does, however large it is."""
    try:
        notebook = json.loads(data)
        known = _ids_by_source(ours)
        cells = [_with_id(cell, known) for cell in notebook["cells"]]
        notebook = {"cells": cells, "metadata": notebook["metadata"], "nbformat": notebook["nbformat"]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return notebook if not depth_beyond(notebook, MAX_DEPTH) and _is_valid(notebook) else None


def _is_valid(notebook: dict[str, Any]) -> bool:
    from nbformat import ValidationError, validate  # takes long, and hardly any session needs it

    cells = [{**cell, "id": str(index)} for index, cell in enumerate(notebook["cells"])]  # repeated ids are fine
    try:
        validate({**notebook, "nbformat_minor": 5, "cells": cells}, version=4, version_minor=5)
    except ValidationError:
        return False
    return True


def _ids_by_source(ours: Iterable[Cell]) -> dict[tuple[str, str], list[str]]:
    ids: dict[tuple[str, str], list[str]] = {}
    for cell in ours:
        ids.setdefault((cell["cell_type"], text_of(cell["source"])), []).append(cell["id"])
    return ids


def _with_id(cell: Mapping[str, Any], known: Mapping[tuple[str, str], list[str]]) -> Cell:
    if isinstance(cell.get("id"), str) and _ID.fullmatch(cell["id"]):
        return dict(cell)
    same = known.get((cell["cell_type"], text_of(cell["source"])))
    return {**cell, "id": same.pop(0) if same else uuid.uuid4().hex[:8]}
