"""A notebook file cut into its cells without reading them, where it is laid out as Jupyter lays it out. Pure.

Our recorder and Jupyter's programs indent by one, so a cell begins and ends with lines that cannot stand anywhere else:
no text in JSON holds the end of a line. A cell whose bytes are known need not be read again.
"""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernel_exec.errors import NotebookError

_HEAD = b'{\n "cells": [\n  {\n'
_BETWEEN = b"\n  },\n  {\n"
_END = b"\n  }\n ],\n"
_BLOCK = 64 * 1024
_MANY_VALUES = 2_000_000
"""Values, as JSON counts them, beyond which a file is not read: each takes up to a hundred times its text."""
_BEFORE_VALUES = (b",", b"[", b"{")


@dataclass(frozen=True, slots=True)
class Sliced:
    """A notebook file.

    Attributes:
        cells: the bytes of each cell, such as JSON can be made of.
        rest: all but the cells.
        data: the file.
        ends: where each cell ends in it; empty for a file of another layout.
        same: how many cells at the beginning are known to be those of the file as it was.
    """

    cells: tuple[bytes, ...]
    rest: Mapping[str, Any]
    data: bytes = b""
    ends: tuple[int, ...] = ()
    same: int = 0


def sliced(data: bytes, before: Sliced | None = None) -> Sliced:
    """Return the parts of a notebook file.

    Args:
        data: the file.
        before: the file as it was.

    Raises:
        NotebookError: it is none of format 4; it may be half written.
    """
    try:
        found = _by_layout(data, before) or _by_reading(data)
    except NotebookError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"it is no notebook, as it is no JSON: {error}") from error
    if found.rest.get("nbformat") != 4 or not isinstance(found.rest.get("metadata", {}), dict):
        raise NotebookError("it is no notebook of format 4")
    return found


def _by_layout(data: bytes, before: Sliced | None) -> Sliced | None:
    if not data.startswith(_HEAD):
        return None
    known = _same_cells(data, before) if before is not None and before.ends else 0
    cells, ends = (before.cells[:known], before.ends[:known]) if before is not None else ((), ())
    at = ends[-1] if ends else len(_HEAD) - len(_BETWEEN)
    end = data.find(_END, at)
    if end < 0:
        return None
    try:
        rest = json.loads(b"{" + data[end + len(_END) :])
    except ValueError:
        return None
    if "cells" in rest:
        return None
    new = data[at + len(_BETWEEN) : end].split(_BETWEEN) if end > at else []
    places = itertools.accumulate((len(part) + len(_BETWEEN) for part in new), initial=at)
    return Sliced((*cells, *new), rest, data, (*ends, *itertools.islice(places, 1, None)), known)


def _same_cells(data: bytes, before: Sliced) -> int:
    """Return how many cells at the beginning are as they were, and end where they ended."""
    same = 0
    while same < len(data) and data[same : same + _BLOCK] == before.data[same : same + _BLOCK]:
        same += _BLOCK
    known = bisect.bisect_right(before.ends, same)
    return known if known and data.startswith((_BETWEEN, _END), before.ends[known - 1]) else 0


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
