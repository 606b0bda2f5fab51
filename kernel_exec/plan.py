"""What becomes of each cell when a notebook is run again. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from typing import Literal

from kernel_exec.compare import marks_of
from kernel_exec.errors import InvalidArgument, WrongType
from kernel_exec.recording.source import Program, SourceCell

Act = Literal["run", "restart", "carry", "leave"]
Place = int | str
"""A cell: its index in the notebook, from 0 (or from its end, below 0), or its id."""

ONCE = "run-once"
"""Tag of a cell that must not run twice: it sends a letter, or pays for something."""
_FAILED = ("error", "timeout", "interrupted", "died")


@dataclass(frozen=True, slots=True)
class Step:
    """One cell of a notebook that is run again.

    Attributes:
        cell: the cell.
        act: "run" it; "restart" the kernel, as was done then; "carry" its text into the recording; or "leave" it.
        reason: why it is left.
        may_fail: whether what follows is run all the same when it fails.
        timeout: seconds that it had then, when they were not enough; None for the usual.
        interrupt: seconds after which it was interrupted then; None when it was not.
    """

    cell: SourceCell
    act: Act
    reason: str = ""
    may_fail: bool = False
    timeout: float | None = None
    interrupt: float | None = None

    def bounded(self, timeout: float | None) -> float | None:
        """Return the seconds that it may run, of those that each cell may."""
        return min((bound for bound in (timeout, self.timeout) if bound is not None), default=None)


def steps(
    program: Program,
    *,
    since: Place | None = None,
    until: Place | None = None,
    only: Collection[int] | None = None,
) -> list[Step]:
    """Return what becomes of each cell.

    Args:
        program: the notebook.
        since: the first cell to run; None for the first of all.
        until: the last cell to run; None for the last of all.
        only: indexes of the cells to run; None for all.

    Raises:
        InvalidArgument, WrongType: there is no such cell.
    """
    theirs = [cell for cell in program.cells if cell.index is not None]
    first = 0 if since is None else position(theirs, "since", since)
    last = len(theirs) - 1 if until is None else position(theirs, "until", until)
    if first > last and theirs:
        raise InvalidArgument(f"since names cell {first}, which comes after cell {last}, which until names")
    wanted = {index for index in range(first, last + 1) if only is None or index in only}
    return [_step(cell, wanted, first, last) for cell in program.cells]


def position(cells: Sequence[SourceCell], what: str, place: Place) -> int:
    """Return the index of a cell.

    Raises:
        InvalidArgument, WrongType: there is no such cell.
    """
    if isinstance(place, str):
        found = [index for index, cell in enumerate(cells) if cell.cell_id == place]
        if len(found) != 1:
            raise InvalidArgument(f"{what}: {len(found) or 'no'} cells of the notebook have the id {place!r}")
        return found[0]
    if isinstance(place, bool) or not isinstance(place, int):
        raise WrongType(f"{what} must be the index of a cell or its id, not {type(place).__name__}")
    if not -len(cells) <= place < len(cells):
        raise InvalidArgument(f"{what} is {place}, and the notebook has {len(cells)} cells, the first of which is 0")
    return place % len(cells)


def _step(cell: SourceCell, wanted: Container[int], first: int, last: int) -> Step:
    if cell.cell_type != "code":
        is_restart = cell.facts.get("event") == "restart" and cell.index is not None and first <= cell.index <= last
        return Step(cell, "restart" if is_restart else "carry")
    if reason := _left(cell, wanted, first, last):
        return Step(cell, "leave", reason)
    then = cell.facts.get("status")
    # A session that we recorded went on behind its failures; of what others saved nobody knows how it came about.
    may_fail = then in _FAILED or marks_of(cell.as_dict()).raises
    timeout = _seconds(cell, "timeout") if then == "timeout" else None
    interrupt = _seconds(cell, "duration") if then == "interrupted" else None
    return Step(cell, "run", may_fail=may_fail, timeout=timeout, interrupt=interrupt)


def _seconds(cell: SourceCell, name: str) -> float | None:
    value = cell.facts.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None


def _left(cell: SourceCell, wanted: Container[int], first: int, last: int) -> str:
    """Return why a cell is not run; "" when it is."""
    if marks_of(cell.as_dict()).skip:
        return "marked to be skipped"
    if ONCE in cell.tags:
        return f"tagged {ONCE}: it must not run twice"
    if not cell.source.strip():
        return "empty"
    if cell.facts.get("status") == "denied" or (cell.facts.get("status") == "aborted" and "policy" in cell.facts):
        return "a policy did not let it run when it was recorded"
    if cell.index is None or cell.index in wanted:
        return ""
    return "not needed" if first <= cell.index <= last else "outside the range that is run"
