"""A notebook file cut into its cells without reading them, where it is laid out as Jupyter lays it out. Pure.

Our recorder and Jupyter's programs indent by one, so a cell begins and ends with lines that cannot stand anywhere else:
no text in JSON holds the end of a line. A cell whose bytes are known need not be read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernel_exec.errors import NotebookError

_HEAD = b'{\n "cells": [\n  {\n'
_BETWEEN = b"\n  },\n  {\n"
_END = b"\n  }\n ],\n"
_MANY_VALUES = 2_000_000
"""Values, as JSON counts them, beyond which a file is not read: each takes up to a hundred times its text."""
_BEFORE_VALUES = (b",", b"[", b"{")


@dataclass(frozen=True, slots=True)
class Sliced:
    """A notebook file.

    Attributes:
        cells: the bytes of each cell, such as JSON can be made of.
        rest: all but the cells.
    """

    cells: tuple[bytes, ...]
    rest: Mapping[str, Any]


def sliced(data: bytes) -> Sliced:
    """Return the parts of a notebook file.

    Raises:
        NotebookError: it is none of format 4; it may be half written.
    """
    try:
        found = _by_layout(data) or _by_reading(data)
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"it is no notebook, as it is no JSON: {error}") from error
    if found.rest.get("nbformat") != 4 or not isinstance(found.rest.get("metadata", {}), dict):
        raise NotebookError("it is no notebook of format 4")
    return found


def _by_layout(data: bytes) -> Sliced | None:
    end = data.find(_END) if data.startswith(_HEAD) else -1
    if end < 0:
        return None
    try:
        rest = json.loads(b"{" + data[end + len(_END) :])
    except ValueError:
        return None
    cells = data[len(_HEAD) : end].split(_BETWEEN)
    return Sliced(tuple(cells), rest) if "cells" not in rest else None


def _by_reading(data: bytes) -> Sliced:
    if sum(map(data.count, _BEFORE_VALUES)) > _MANY_VALUES:
        raise NotebookError("it is too large to be read here")
    found = json.loads(data)
    cells = found.pop("cells", None) if isinstance(found, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise NotebookError("it is JSON, but no notebook: it has no list of cells")
    return Sliced(tuple(json.dumps(cell).encode()[1:-1] for cell in cells), found)


def cell_of(part: bytes) -> Any:
    """Return the cell of its bytes.

    Raises:
        NotebookError: they are none.
    """
    try:
        return json.loads(b"{" + part + b"}")
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"it is no notebook, as it is no JSON: {error}") from error
